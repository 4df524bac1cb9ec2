import { describe, expect, it } from 'vitest'
import { createTokenBucket } from '../../src/publish/token-bucket.ts'

const bucket = (over = {}) => createTokenBucket({ perSecond: 100, burst: 10, bypassPerSecond: 5, ...over })
const taken = (from: ReturnType<typeof bucket>, nowMs: number, isCritical = false) => {
  let count = 0
  while (count < 10_000 && from.take(nowMs, isCritical) !== undefined) count += 1
  return count
}

describe('the token bucket', () => {
  it('lets a burst out, then the rate', () => {
    const one = bucket()
    expect(taken(one, 0)).toBe(10)
    let count = 0
    for (let ms = 1; ms <= 1_000; ms++) count += taken(one, ms)
    expect(count).toBe(100)
    expect(one.waitMs(1_000)).toBeGreaterThan(0)
    expect(taken(one, 1_000 + one.waitMs(1_000))).toBe(1)
  })

  it('a clock that jumps ahead gives one burst and no more; one that jumps back neither gives nor blocks', () => {
    const one = bucket()
    taken(one, 0)
    expect(taken(one, 1e12)).toBe(10)
    expect(taken(one, 5_000)).toBe(0)
    expect(one.waitMs(5_000)).toBeLessThanOrEqual(10)
    expect(taken(one, 5_100)).toBe(10)
  })

  it('critical events pass beyond the rate, but a flood of them is bounded too', () => {
    const one = bucket()
    taken(one, 0)
    expect(one.take(0, false)).toBeUndefined()
    expect(one.take(0, true)).toBe('bypass')
    let count = 1
    for (let ms = 0; ms < 10_000; ms++) count += taken(one, ms, true)
    // The rate of ten seconds, what may pass beyond it, and the two bursts.
    expect(count).toBeLessThanOrEqual(1_000 + 50 + 5)
    expect(count).toBeGreaterThan(1_000 + 45)
  })

  it('without a bypass, nothing passes', () => {
    const one = bucket({ bypassPerSecond: 0 })
    taken(one, 0)
    expect(one.take(0, true)).toBeUndefined()
  })
})
