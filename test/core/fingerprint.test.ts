import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fingerprintOf, normalisedMessage } from '../../src/core/fingerprint.ts'
import { anyText } from './texts.ts'

const of = (message: string, more: object = {}) =>
  fingerprintOf({ handler: 'h', type: 'user.created', error: { name: 'TypeError', message }, ...more })

test.each([
  ['user 17 has no plan', 'user 4,711 has no plan'],
  ['no row for 0198e0a0-1c2d-7000-8000-000000000001', 'no row for 0198E0A0-ffff-7000-8000-0000000000ff'],
  ['key "user/1" exists', 'key "document/93" exists'],
  ["column 'a' is missing", "column 'b c' is missing"],
  ['timeout after 30.5 s at 10:00:01', 'timeout after 2 s at 23:59:59'],
  ['token ab12cd34ef56ab12cd34 expired', 'token 99ffab12cd34ef56ab12 expired'],
  ['at 0x7ffe', 'at 0x10'],
  ['a\n  b', 'a b'],
])('%j has the cause of %j', (one, other) => {
  expect(of(one)).toBe(of(other))
  expect(of(one)).toMatch(/^[0-9a-f]{8}$/)
})

test('other words, handlers, types, error names and codes are other causes', () => {
  const causes = [
    of('no plan'),
    of('no price'),
    of("can't read x and won't"),
    of("can't read y and won't"),
    of('no plan', { handler: 'other' }),
    of('no plan', { type: 'user.deleted' }),
    of('no plan', { error: { name: 'RangeError', message: 'no plan' } }),
    of('no plan', { error: { name: 'TypeError', message: 'no plan', code: '23505' } }),
  ]
  expect(new Set(causes).size).toBe(causes.length)
})

test('any number in its place gives the same cause', () => {
  fc.assert(fc.property(fc.nat(), fc.nat(), (a, b) => of(`row ${a} of ${b}`) === of('row 1 of 2')))
})

test('never throws, and takes linear time', () => {
  fc.assert(fc.property(anyText(200), (message) => normalisedMessage(message).length <= 6 * 1000))
  expect(of(`"'\`${'a-'.repeat(1_000_000)}`)).toMatch(/^[0-9a-f]{8}$/)
})
