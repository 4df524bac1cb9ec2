/** Ids that a handler was done with. Bounded: what is older, or further back, is forgotten. */
export interface DuplicateWindow {
  has(id: string): boolean
  add(id: string): void
}

export interface DuplicateOptions {
  /** Ids of one handler; default 10,000. 0 remembers none. */
  readonly count?: number
  /** Default one hour. */
  readonly ms?: number
}

/** `nowMs` is monotonic. */
export function createDuplicateWindow(
  { count = 10_000, ms = 3_600_000 }: DuplicateOptions = {},
  nowMs: () => number = () => performance.now(),
): DuplicateWindow {
  // In the order of adding, which is that of age.
  const seen = new Map<string, number>()
  return {
    has(id) {
      const addedMs = seen.get(id)
      return addedMs !== undefined && nowMs() - addedMs < ms
    },
    add(id) {
      if (count === 0) return
      seen.delete(id)
      seen.set(id, nowMs())
      if (seen.size <= count) return
      const [oldest] = seen.keys()
      if (oldest !== undefined) seen.delete(oldest)
    },
  }
}
