import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatCount, formatRoundedCount, formatSize, parseCount, parseSize } from '../../src/core/quantity.ts'
import { anyText } from './texts.ts'

test.each([
  ['0', 0],
  ['10', 10],
  ['10k', 10_000],
  ['10K', 10_000],
  ['1.5m', 1_500_000],
  ['1.1k', 1100],
  ['2g', 2e9],
  ['1,204,332', 1_204_332],
])('%s is a count of %d', (text, count) => {
  expect(parseCount(text)).toBe(count)
})

test.each([
  '',
  '-1',
  '1.5',
  'abc',
  '1e3',
  '12,34',
  '1 000',
  'k',
  '0x10',
  '1.2345k',
  '9'.repeat(17),
  'Infinity',
  '1__proto__',
])('%j is no count', (text) => {
  expect(() => parseCount(text)).toThrow(expect.objectContaining({ code: 'usage' }))
})

test.each([
  ['512', 512],
  ['512B', 512],
  ['10kB', 10_000],
  ['64KiB', 65_536],
  ['2MiB', 2_097_152],
  ['1.5 GiB', 1_610_612_736],
])('%s is a size of %d bytes', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes)
})

test.each([
  ['2M', 'write MiB (1024) or MB (1000)'],
  ['64k', 'write KiB (1024) or kB (1000)'],
  ['big', 'for example 512, 64KiB, 2MiB'],
])('%s is no size: %s', (text, hint) => {
  expect(() => parseSize(text)).toThrow(expect.objectContaining({ code: 'usage', hint }))
})

test('a formatted count is exact and read back', () => {
  expect(formatCount(1_204_332)).toBe('1,204,332')
  expect(formatCount(-1234)).toBe('-1,234')
  expect(formatCount(12_345_678_901_234_567_890n)).toBe('12,345,678,901,234,567,890')
  expect(formatCount(1234.5678)).toBe('1,234.5678')
  expect(formatCount(Number.NaN)).toBe('NaN')
  fc.assert(fc.property(fc.maxSafeNat(), (count) => parseCount(formatCount(count)) === count))
})

describe('rounded', () => {
  test.each([
    [0, '0'],
    [999, '999'],
    [999.6, '1k'],
    [1234, '1.23k'],
    [48_349, '48.3k'],
    [999_600, '1m'],
    [1_200_000, '1.2m'],
    [-1234, '-1.23k'],
  ])('%d is shown as %s', (count, text) => {
    expect(formatRoundedCount(count)).toBe(text)
  })

  test.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [1_572_864, '1.5 MiB'],
  ])('%d bytes are shown as %s', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text)
  })

  test('keeps at most half a percent of error', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (bytes) => Math.abs(parseSizeRoughly(formatSize(bytes)) - bytes) <= 0.0051 * bytes),
    )
  })

  const parseSizeRoughly = (text: string) => {
    const [number = '', unit = ''] = text.split(' ')
    return Number(number) * 1024 ** ['B', 'KiB', 'MiB', 'GiB', 'TiB'].indexOf(unit)
  }
})

test('throws nothing but usage', () => {
  fc.assert(
    fc.property(anyText(), (text) => {
      for (const parse of [parseCount, parseSize]) {
        try {
          expect(parse(text)).toBeGreaterThanOrEqual(0)
        } catch (error) {
          expect(error).toMatchObject({ code: 'usage' })
        }
      }
    }),
  )
})
