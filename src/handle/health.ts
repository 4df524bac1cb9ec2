import type { HandlerSample } from '../watch/snapshot.ts'

export type Health = HandlerSample['health']

const halfLifeMs = 30_000
/** Fewer outcomes than this say nothing. */
const least = 5

/** Judges a handler by its recent outcomes; recovers by successes, and by time when nothing comes. */
export interface HealthJudge {
  outcomes(succeeded: number, failed: number, nowMs: number): Health
}

export function createHealthJudge(): HealthJudge {
  let good = 0
  let bad = 0
  let at = 0
  return {
    outcomes(succeeded, failed, nowMs) {
      const fade = 0.5 ** (Math.max(0, nowMs - at) / halfLifeMs)
      good = good * fade + succeeded
      bad = bad * fade + failed
      at = nowMs
      if (good + bad < least) return bad >= 1 ? 'degraded' : 'healthy'
      const share = bad / (good + bad)
      if (share >= 0.5) return 'failing'
      return share >= 0.1 ? 'degraded' : 'healthy'
    },
  }
}
