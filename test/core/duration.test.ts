import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatAge, formatDuration, parseDuration } from '../../src/core/duration.ts'
import { anyText } from './texts.ts'

describe('parseDuration', () => {
  test.each([
    ['250ms', 250],
    ['1m30s', 90_000],
    ['2h', 7_200_000],
    ['1.5s', 1500],
    ['1.1s', 1100],
    ['1d12h', 129_600_000],
    ['1w', 604_800_000],
    ['500us', 0.5],
    ['500µs', 0.5],
    ['0', 0],
    ['0s', 0],
    ['1h0m5s', 3_605_000],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  test.each([
    '',
    '5',
    '-5s',
    '5 s',
    's',
    '5x',
    '1s1m',
    '1s1s',
    '1e3s',
    '.5s',
    '5s ',
    `${'9'.repeat(20)}d`,
    '5S',
    '1m30',
  ])('%j is refused', (text) => {
    expect(() => parseDuration(text)).toThrow(expect.objectContaining({ name: 'EvtError', code: 'usage' }))
  })

  test('a bare number is answered with its units', () => {
    expect(() => parseDuration('30')).toThrow(expect.objectContaining({ hint: 'write 30s or 30ms' }))
  })

  test('throws nothing but usage', () => {
    const nearly = fc.string({ unit: fc.constantFrom(...'0123.smhdwu-e '), maxLength: 12 })
    fc.assert(
      fc.property(fc.oneof(nearly, anyText()), (text) => {
        try {
          expect(parseDuration(text)).toBeGreaterThanOrEqual(0)
        } catch (error) {
          expect(error).toMatchObject({ code: 'usage' })
        }
      }),
    )
  })
})

describe('formatDuration', () => {
  test('is read back exactly, to the microsecond', () => {
    const micros = fc.oneof(
      fc.nat(2_000_000),
      fc.maxSafeNat().map((us) => us % 1e15),
    )
    fc.assert(fc.property(micros, (us) => parseDuration(formatDuration(us / 1000)) === us / 1000))
  })

  test.each([
    [0, '0s'],
    [0.25, '250us'],
    [999.5, '999.5ms'],
    [1000, '1s'],
    [90_000, '1m30s'],
    [61_500, '1m1.5s'],
    [7_200_000, '2h'],
    [93_784_000, '1d2h3m4s'],
    [-1500, '-1.5s'],
    [Number.POSITIVE_INFINITY, 'Infinity'],
  ])('%d ms is %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text)
  })
})

test.each([
  [0.123456, '123us'],
  [4.5678, '4.57ms'],
  [12_345, '12.3s'],
  [59_990, '1m'],
  [90_400, '1m30s'],
  [3_599_900, '1h'],
  [7_530_000, '2h6m'],
  [273_600_000, '3d4h'],
])('an age of %d ms is shown as %s', (ms, text) => {
  expect(formatAge(ms)).toBe(text)
})
