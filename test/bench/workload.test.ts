import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createKeyChoice, parseSkew } from '../../src/bench/keys.ts'
import { createPayloads } from '../../src/bench/payload.ts'
import { createWorkload, offeredPerSecond } from '../../src/bench/plan.ts'
import { planOf } from './fake/plan.ts'

describe('the workload', () => {
  test('measures from the first event that is due after the warm-up', () => {
    const workload = createWorkload(
      planOf({ shape: [{ from: 100, to: 100, durationMs: Infinity }], warmupMs: 2_000, durationMs: 8_000 }),
    )
    expect(workload).toMatchObject({ total: 1_000, measuredFrom: 200, endMs: 10_000 })
    expect(offeredPerSecond(workload)).toBe(100)
  })

  test('starts a ramp after a warm-up at its first rate', () => {
    const ramp = [{ from: 100, to: 1_000, durationMs: 10_000 }]
    const workload = createWorkload(planOf({ shape: ramp, warmupMs: 1_000, durationMs: 10_000 }))
    expect(workload.measuredFrom).toBe(100)
    expect(workload.total).toBe(100 + 5_500)
  })

  test('chooses keys purely, within their number', () => {
    const skew = fc.constantFrom({ kind: 'uniform' } as const, { kind: 'zipf', exponent: 1.1 } as const)
    fc.assert(
      fc.property(skew, fc.integer({ min: 1, max: 500 }), fc.integer(), fc.nat(), (s, keys, seed, k) => {
        const key = createKeyChoice(keys, s, seed)(k)
        expect(key).toBe(createKeyChoice(keys, s, seed)(k))
        expect(key).toBeGreaterThanOrEqual(0)
        expect(key).toBeLessThan(keys)
      }),
    )
  })

  test('spreads uniform keys evenly and zipf keys by rank', () => {
    const counts = (skew: ReturnType<typeof parseSkew>) => {
      const found = new Array<number>(10).fill(0)
      const keyOf = createKeyChoice(10, skew, 3)
      for (let k = 0; k < 20_000; k++) found[keyOf(k)] = (found[keyOf(k)] ?? 0) + 1
      return found
    }
    for (const count of counts({ kind: 'uniform' })) expect(Math.abs(count - 2_000)).toBeLessThan(250)
    const zipf = counts(parseSkew('zipf:1'))
    expect((zipf[0] ?? 0) / (zipf[1] ?? 1)).toBeGreaterThan(1.8)
    expect((zipf[0] ?? 0) / (zipf[1] ?? 1)).toBeLessThan(2.2)
  })

  test.each(['', 'zipf', 'zipf:0', 'zipf:-1', 'normal'])('skew %j is refused', (text) => {
    expect(() => parseSkew(text)).toThrow(/uniform or zipf:EXPONENT/)
  })

  test('makes data of the asked size, in turn, with the number in it', () => {
    const dataOf = createPayloads('r1', [200, 1_000])
    expect(JSON.parse(dataOf(123_456))).toMatchObject({ k: 123_456, run: 'r1' })
    expect(dataOf(123_456)).toHaveLength(200)
    expect(dataOf(123_457)).toHaveLength(1_000)
    expect(JSON.parse(dataOf(-3))).toMatchObject({ k: -3 })
  })

  test('makes the smallest data where the size is too small', () => {
    expect(JSON.parse(createPayloads('r1', [1])(5))).toEqual({ k: 5, run: 'r1', pad: '' })
  })
})
