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
  // A ring in the order of adding: the oldest key of a large Map from which many were deleted is slow to find.
  const ids: string[] = []
  const addedMs: number[] = []
  const slots = new Map<string, number>()
  let next = 0
  return {
    has(id) {
      const slot = slots.get(id)
      return slot !== undefined && nowMs() - (addedMs[slot] ?? 0) < ms
    },
    add(id) {
      if (count === 0) return
      const oldest = ids[next]
      // It may have been added again since.
      if (oldest !== undefined && slots.get(oldest) === next) slots.delete(oldest)
      ids[next] = id
      addedMs[next] = nowMs()
      slots.set(id, next)
      next = (next + 1) % count
    },
  }
}
