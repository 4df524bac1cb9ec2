import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { slotCount, slotOf } from '../../src/core/slot.ts'
import { anyText } from './texts.ts'

test.each([
  // select get_byte(decode(md5(subject), 'hex'), 0)
  ['', 212],
  ['user/1', 114],
  ['Jürgen', 235],
  ['世界 😀', 185],
])('%j is in slot %i, as in SQL', (subject, slot) => {
  expect(slotOf(subject)).toBe(slot)
})

test('is the first byte of the MD5 of the UTF-8 text', () => {
  fc.assert(fc.property(anyText(), (text) => slotOf(text) === createHash('md5').update(Buffer.from(text)).digest()[0]))
})

test('spreads subjects over all slots', () => {
  const used = new Set(Array.from({ length: 5000 }, (_, i) => slotOf(`user/${i}`)))
  expect(used.size).toBe(slotCount)
})
