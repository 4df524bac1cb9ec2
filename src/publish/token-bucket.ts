import type { RateLimit } from '../core/publish-options.ts'

/** Time is an argument, in ms, of a clock that should not go back; one that does gives nothing, and takes nothing away. */
export interface TokenBucket {
  /** Whether one more may leave now. A critical one that may not may still pass by a bucket of its own. */
  take(nowMs: number, isCritical: boolean): 'token' | 'bypass' | undefined
  /** How long until one may leave. */
  waitMs(nowMs: number): number
}

export function createTokenBucket({ perSecond, burst, bypassPerSecond }: RateLimit): TokenBucket {
  const main = createBucket(perSecond, burst)
  const bypass = createBucket(bypassPerSecond, Math.max(1, bypassPerSecond))
  return {
    take(nowMs, isCritical) {
      if (main.take(nowMs)) return 'token'
      return isCritical && bypassPerSecond > 0 && bypass.take(nowMs) ? 'bypass' : undefined
    },
    waitMs: main.waitMs,
  }
}

function createBucket(perSecond: number, burst: number) {
  let tokens = burst
  let lastMs = Number.NEGATIVE_INFINITY
  function refill(nowMs: number): void {
    // A clock that jumps ahead fills the bucket, and no more; one that jumps back is taken as it stands from then on.
    const gained = lastMs === Number.NEGATIVE_INFINITY ? 0 : ((nowMs - lastMs) * perSecond) / 1_000
    lastMs = nowMs
    if (gained > 0) tokens = Math.min(burst, tokens + gained)
  }
  return {
    take(nowMs: number): boolean {
      refill(nowMs)
      // What many small refills lack of a whole one is the error of floating point.
      if (tokens < 1 - 1e-9) return false
      tokens -= 1
      return true
    },
    waitMs(nowMs: number): number {
      refill(nowMs)
      return tokens >= 1 - 1e-9 ? 0 : Math.ceil(((1 - tokens) * 1_000) / perSecond)
    },
  }
}
