import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Arrival } from '../../src/core/arrival.ts'
import { countDue, createSchedule } from '../../src/core/pacer.ts'
import { constantRate, type RateShape } from '../../src/core/rate.ts'

const perSecond = fc.double({ min: 0, max: 20_000, noNaN: true })
const segment = fc.record({ from: perSecond, to: perSecond, durationMs: fc.integer({ min: 1, max: 60_000 }) })
const shape: fc.Arbitrary<RateShape> = fc
  .array(segment, { minLength: 1, maxLength: 4 })
  .filter((segments) => segments.some(({ from, to }) => from + to > 1))
const arrival: fc.Arbitrary<Arrival> = fc.oneof(
  fc.constant<Arrival>({ kind: 'uniform' }),
  fc.constant<Arrival>({ kind: 'poisson' }),
  fc.integer({ min: 1, max: 500 }).map((size): Arrival => ({ kind: 'burst', size })),
)

/** Events that a shape has sent after `ms`, by adding up small pieces. */
function massAfter(segments: Exclude<RateShape, 'max'>, ms: number): number {
  let [mass, left] = [0, ms]
  for (const { from, to, durationMs } of segments) {
    const part = Math.min(left, durationMs)
    const rateThere = from + ((to - from) * part) / durationMs
    mass += ((from + rateThere) / 2) * (part / 1_000)
    left -= part
  }
  return mass
}

describe('schedule', () => {
  test('uniform events at a constant rate are evenly apart, the first at 0', () => {
    const { at } = createSchedule({ shape: constantRate(1_000) })
    expect([0, 1, 2, 1_000, 86_400_000].map(at)).toEqual([0, 1, 2, 1_000, 86_400_000])
  })

  test('the due time of event k is when the rate, added up, has reached k', () => {
    fc.assert(
      fc.property(shape, fc.nat(5_000), (segments, k) => {
        if (segments === 'max') return
        const ms = createSchedule({ shape: segments }).at(k)
        if (ms === Infinity) {
          const all = segments.reduce(
            (sum, { from, to, durationMs }) => sum + ((from + to) / 2) * (durationMs / 1_000),
            0,
          )
          expect(k).toBeGreaterThanOrEqual(all - 1e-6)
        } else expect(massAfter(segments, ms)).toBeCloseTo(k, 3)
      }),
    )
  })

  test('due times never fall, and are the same whoever computes them and in whichever order', () => {
    fc.assert(
      fc.property(
        shape,
        arrival,
        fc.nat(),
        fc.array(fc.nat(200_000), { minLength: 2, maxLength: 30 }),
        (s, a, seed, ks) => {
          const first = createSchedule({ shape: s, arrival: a, seed })
          const second = createSchedule({ shape: s, arrival: a, seed })
          const sorted = [...ks].sort((x, y) => x - y)
          const rising = sorted.map(first.at)
          expect(sorted.toReversed().map(second.at).toReversed()).toEqual(rising)
          for (let i = 1; i < rising.length; i++) expect(rising[i]).toBeGreaterThanOrEqual(rising[i - 1] ?? 0)
        },
      ),
      { numRuns: 40 },
    )
  })

  test('a ramp from 500 to 5,000 in 60 s has 165,000 events and ends', () => {
    const ramp = createSchedule({ shape: [{ from: 500, to: 5_000, durationMs: 60_000 }] })
    expect(ramp).toMatchObject({ durationMs: 60_000, total: 165_000, paced: true })
    expect(ramp.at(165_000)).toBe(Infinity)
    expect(countDue(ramp, 30_000)).toBe(48_750)
  })

  test('steps change the rate at once, and a step of 0 is a pause', () => {
    const steps = createSchedule({
      shape: [
        { from: 200, to: 200, durationMs: 1_000 },
        { from: 0, to: 0, durationMs: 500 },
        { from: 1_000, to: 1_000, durationMs: 1_000 },
      ],
    })
    expect([199, 200, 201].map(steps.at)).toEqual([995, 1_500, 1_501])
    expect(steps.total).toBe(1_200)
  })

  test('a burst of 50 is due at one moment and keeps the rate', () => {
    const { at } = createSchedule({ shape: constantRate(1_000), arrival: { kind: 'burst', size: 50 } })
    expect([0, 49, 50, 99, 100].map(at)).toEqual([0, 0, 50, 50, 100])
  })

  test('poisson gaps have the mean and the spread of an exponential', () => {
    const { at } = createSchedule({ shape: constantRate(1_000), arrival: { kind: 'poisson' }, seed: 7 })
    const gaps = Array.from({ length: 200_000 }, (_, k) => at(k + 1) - at(k))
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length
    const spread = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length)
    expect(mean).toBeGreaterThan(0.98)
    expect(mean).toBeLessThan(1.02)
    expect(spread / mean).toBeGreaterThan(0.97)
    expect(spread / mean).toBeLessThan(1.03)
  })

  test('another seed is another poisson schedule', () => {
    const of = (seed: number) => createSchedule({ shape: constantRate(100), arrival: { kind: 'poisson' }, seed }).at(10)
    expect(of(1)).not.toBe(of(2))
  })

  test('max is unpaced: everything is due at once', () => {
    const { at, paced } = createSchedule({ shape: 'max' })
    expect([paced, at(0), at(1_000_000)]).toEqual([false, 0, 0])
  })
})
