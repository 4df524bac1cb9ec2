export interface BackoffPolicy {
  readonly backoff: 'exponential' | 'fixed'
  /** The bound of the first delay. */
  readonly initialMs: number
  /** No delay is longer. */
  readonly maxMs: number
}

/**
 * How long to wait after a failed attempt, in whole milliseconds: full jitter, a uniform draw from zero up to the
 * bound, which doubles with each attempt (or stays, when fixed) until `maxMs`. Full jitter is what spreads a crowd of
 * retries best (Brooker, "Exponential Backoff And Jitter", AWS 2015).
 *
 * @param attempt the attempt that has just failed, 1 for the first
 * @param random in [0, 1)
 */
export function backoffMs(policy: BackoffPolicy, attempt: number, random: number): number {
  return Math.floor(random * (backoffBoundMs(policy, attempt) + 1))
}

/** The longest delay that `backoffMs` can give for this attempt. */
export function backoffBoundMs(policy: BackoffPolicy, attempt: number): number {
  // 2^1023 is the last finite power; the bound is reached long before.
  const factor = policy.backoff === 'fixed' ? 1 : 2 ** Math.min(Math.max(attempt, 1) - 1, 1023)
  return Math.max(0, Math.min(policy.initialMs * factor, policy.maxMs))
}
