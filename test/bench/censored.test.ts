import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCensored, samplesNeeded } from '../../src/bench/censored.ts'
import { createHistogram } from '../../src/core/histogram.ts'

const histogramOf = (values: readonly number[]) => {
  const histogram = createHistogram()
  for (const value of values) histogram.record(value)
  return histogram
}
const latencies = fc.array(fc.integer({ min: 0, max: 1_000_000 }), { minLength: 1, maxLength: 200 })

describe('samples with unfinished events', () => {
  test('without unfinished ones are the plain figures', () => {
    const samples = createCensored(histogramOf([10, 20, 30]))
    expect(samples.percentile(0.5)).toEqual({ us: 20, atLeast: false })
    expect(samples.max).toEqual({ us: 30, atLeast: false })
  })

  test('never say less than the truth allows, nor that a bound is exact', () => {
    fc.assert(
      fc.property(
        latencies,
        fc.array(fc.record({ age: fc.nat(1_000_000), rest: fc.nat(1_000_000) }), { minLength: 1, maxLength: 50 }),
        fc.constantFrom(0.5, 0.9, 0.99),
        (finished, unfinished, q) => {
          const shown = createCensored(
            histogramOf(finished),
            unfinished.map(({ age }) => age),
          ).percentile(q)
          const truth = histogramOf([...finished, ...unfinished.map(({ age, rest }) => age + rest)]).percentile(q)
          expect(shown?.us ?? 0).toBeLessThanOrEqual((truth ?? 0) * 1.01 + 1)
          if (shown?.atLeast === false) expect(truth ?? 0).toBeLessThanOrEqual(shown.us * 1.03 + 2)
        },
      ),
    )
  })

  test('whose unfinished ones are all above a percentile leave it exact', () => {
    const finished = Array.from({ length: 990 }, (_, i) => 1_000 + i)
    const samples = createCensored(
      histogramOf(finished),
      Array.from({ length: 10 }, () => 9_000_000),
    )
    expect(samples.percentile(0.5)?.atLeast).toBe(false)
    expect(samples.percentile(0.999)).toMatchObject({ atLeast: true })
    expect(samples.max).toEqual({ us: 9_000_000, atLeast: true })
    expect(samples).toMatchObject({ count: 1_000, unfinished: 10 })
  })

  test.each([
    [0.5, 6],
    [0.9, 30],
    [0.99, 300],
    [0.999, 3_000],
  ])('percentile %d needs %d samples', (q, samples) => {
    expect(samplesNeeded(q)).toBe(samples)
  })
})
