import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createHistogram, decodeHistogram, type Histogram, histogramBytes } from '../../src/core/histogram.ts'

const duration = fc.oneof(
  fc.integer({ min: 0, max: 300 }),
  fc.double({ min: 0, max: 5e6, noNaN: true }),
  fc.integer({ min: 0, max: 2 ** 39 }),
)
const durations = fc.array(duration, { minLength: 1, maxLength: 300 })

function histogramOf(values: readonly number[]): Histogram {
  const histogram = createHistogram()
  for (const value of values) histogram.record(value)
  return histogram
}

/** The definition: the smallest sample with at least a share q of all samples at or below it. */
function exactPercentile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(1, Math.ceil(q * sorted.length - 1e-6)) - 1] ?? Number.NaN
}

const plain = (histogram: Histogram) => ({
  buckets: [...histogram.buckets()],
  count: histogram.count,
  negative: histogram.negative,
  min: histogram.min,
  max: histogram.max,
})

describe('histogram', () => {
  test('a percentile is within 0.8 % and half a microsecond of the sorted samples', () => {
    fc.assert(
      fc.property(durations, fc.double({ min: 0, max: 1, noNaN: true }), (values, q) => {
        const exact = exactPercentile(values, q)
        const found = histogramOf(values).percentile(q) ?? Number.NaN
        expect(Math.abs(found - exact)).toBeLessThanOrEqual(0.008 * exact + 0.5)
      }),
    )
  })

  test('whole microseconds below 128 are exact', () => {
    const histogram = histogramOf(Array.from({ length: 100 }, (_, i) => i + 1))
    expect([0, 0.01, 0.5, 0.9, 0.99, 1].map((q) => histogram.percentile(q))).toEqual([1, 1, 50, 90, 99, 100])
  })

  test('without samples there is no percentile, minimum, maximum or mean', () => {
    const { count, min, max, mean, percentile } = createHistogram()
    expect({ count, min, max, mean, p99: percentile(0.99) }).toEqual({ count: 0 })
  })

  test('zero is a sample; negatives and NaN are counted apart', () => {
    const histogram = histogramOf([0, -1, Number.NaN, 4])
    expect(plain(histogram)).toMatchObject({ count: 2, negative: 2, min: 0, max: 4 })
    expect(histogram.percentile(0.5)).toBe(0)
  })

  test('minimum, maximum and mean are exact', () => {
    const histogram = histogramOf([1_000.5, 3_000_000.25, 999])
    expect(histogram.min).toBe(999)
    expect(histogram.max).toBe(3_000_000.25)
    expect(histogram.mean).toBeCloseTo((1_000.5 + 3_000_000.25 + 999) / 3, 6)
  })

  test('values beyond the range share the last bucket and keep the true maximum', () => {
    const histogram = histogramOf([2 ** 41, 2 ** 50])
    expect([...histogram.buckets()]).toHaveLength(1)
    expect(histogram.max).toBe(2 ** 50)
  })

  test('adding is the same as recording everything in one', () => {
    fc.assert(
      fc.property(durations, durations, (left, right) => {
        const sum = histogramOf(left)
        sum.add(histogramOf(right))
        expect(plain(sum)).toEqual(plain(histogramOf([...left, ...right])))
      }),
    )
  })

  test('adding an empty one changes nothing, also to an empty one', () => {
    const empty = createHistogram()
    empty.add(createHistogram())
    expect(empty.min).toBeUndefined()
    empty.add(histogramOf([7]))
    expect(plain(empty)).toEqual(plain(histogramOf([7])))
  })

  test('subtracting an earlier copy leaves what came since, its edges within 0.8 %', () => {
    fc.assert(
      fc.property(durations, durations, (before, since) => {
        const earlier = histogramOf(before)
        const window = histogramOf([...before, ...since]).subtract(earlier)
        const wanted = histogramOf(since)
        expect([...window.buckets()]).toEqual([...wanted.buckets()])
        expect(window.count).toBe(since.length)
        expect(Math.abs((window.max ?? 0) - (wanted.max ?? 0))).toBeLessThanOrEqual(0.008 * (wanted.max ?? 0) + 0.5)
        expect(Math.abs((window.min ?? 0) - (wanted.min ?? 0))).toBeLessThanOrEqual(0.008 * (wanted.min ?? 0) + 0.5)
      }),
    )
  })

  test('encoding and decoding give the same histogram', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(duration, fc.constant(-1))), (values) => {
        const histogram = histogramOf(values)
        const copy = decodeHistogram(histogram.encode())
        expect(plain(copy)).toEqual(plain(histogram))
        expect(copy.mean ?? 0).toBeCloseTo(histogram.mean ?? 0, 6)
      }),
    )
  })

  test('counts beyond 31 bits survive encoding', () => {
    const histogram = createHistogram()
    histogram.record(5, 4_000_000_000)
    expect(decodeHistogram(histogram.encode()).count).toBe(4_000_000_000)
  })

  test.each(['', 'hello', 'AAAA', Buffer.alloc(40, 0xff).toString('base64')])(
    '%j is refused as no histogram',
    (text) => {
      expect(() => decodeHistogram(text)).toThrow(/cannot read a histogram/)
    },
  )

  test('a truncated encoding is refused', () => {
    const bytes = Buffer.from(histogramOf([1, 1_000_000]).encode(), 'base64')
    expect(() => decodeHistogram(bytes.subarray(0, -1).toString('base64'))).toThrow(/cannot read a histogram/)
  })

  test('two views of one shared memory see the same samples', () => {
    const memory = new SharedArrayBuffer(histogramBytes)
    const writer = createHistogram(memory)
    const reader = createHistogram(memory)
    writer.record(1_234)
    expect(plain(reader)).toEqual(plain(writer))
    expect(reader.buffer).toBe(memory)
  })
})
