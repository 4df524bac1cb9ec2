/** When a handler's circuit breaker opens, and how it is tried again. */
export interface BreakerPolicy {
  /** Opens at so many distinct subjects that fail … */
  readonly subjects: number
  /** … when they are this share of those seen. */
  readonly share: number
  /** What is longer ago does not count. */
  readonly windowMs: number
  /** Between two probes. */
  readonly probeMs: number
}

/**
 * Counts distinct subjects, not attempts: one subject that always fails never opens a breaker, whatever its traffic. Nothing is counted
 * until something fails, so that a handler that works pays nothing.
 */
export interface BreakerCount {
  readonly isCounting: boolean
  /** What was counted, when that is too much. `nowMs` is monotonic. */
  failed(key: string, nowMs: number): { readonly failing: number; readonly seen: number } | undefined
  succeeded(key: string, nowMs: number): void
  failing(): Iterable<string>
  reset(): void
}

/** Of each kind, at most; older ones are forgotten. */
const mostKeys = 10_000

export function createBreakerCount({ subjects, share, windowMs }: BreakerPolicy): BreakerCount {
  // In the order of their last time.
  const failing = new Map<string, number>()
  const seen = new Map<string, number>()

  function note(keys: Map<string, number>, key: string, nowMs: number): void {
    keys.delete(key)
    keys.set(key, nowMs)
    for (const [oldest, atMs] of keys) {
      if (keys.size <= mostKeys && nowMs - atMs < windowMs) break
      keys.delete(oldest)
    }
  }

  return {
    get isCounting() {
      return failing.size > 0
    },
    failed(key, nowMs) {
      note(seen, key, nowMs)
      note(failing, key, nowMs)
      if (failing.size < subjects || failing.size < share * seen.size) return undefined
      return { failing: failing.size, seen: seen.size }
    },
    succeeded(key, nowMs) {
      if (failing.size === 0) return
      note(seen, key, nowMs)
      failing.delete(key)
    },
    failing: () => failing.keys(),
    reset() {
      failing.clear()
      seen.clear()
    },
  }
}
