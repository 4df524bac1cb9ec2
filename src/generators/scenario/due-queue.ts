/** What is due first, by time and then by number: a binary heap. */
export interface DueQueue<T extends Due> {
  readonly first: T | undefined
  push(one: T): void
  /** The first one is due later now. */
  sink(): void
  shift(): void
}

export interface Due {
  readonly dueMs: number
  readonly number: number
}

export function createDueQueue<T extends Due>(): DueQueue<T> {
  const heap: T[] = []
  const before = (a: T, b: T): boolean => a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.number < b.number)
  const at = (i: number): T => heap[i] as T

  const sink = (): void => {
    let i = 0
    for (;;) {
      let least = i
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < heap.length && before(at(child), at(least))) least = child
      }
      if (least === i) return
      const [one, other] = [at(i), at(least)]
      heap[i] = other
      heap[least] = one
      i = least
    }
  }
  return {
    get first() {
      return heap[0]
    },
    push(one) {
      let i = heap.push(one) - 1
      while (i > 0) {
        const parent = (i - 1) >> 1
        if (!before(one, at(parent))) break
        heap[i] = at(parent)
        i = parent
      }
      heap[i] = one
    },
    sink,
    shift() {
      const last = heap.pop()
      if (last === undefined || heap.length === 0) return
      heap[0] = last
      sink()
    },
  }
}
