/** A partition's past: what it has at hand, in its own order. */
export interface Part<T> {
  readonly isAtEnd: boolean
  /** Undefined when nothing is at hand. */
  next(): T | undefined
}

/** The past of several partitions as one stream. */
export interface History<T> {
  /** All parts have reached their end. */
  readonly isOver: boolean
  add(part: Part<T>): void
  remove(part: Part<T>): void
  /** The oldest that are at hand; [] while a part that is not at its end has nothing: its next could be older. */
  take(max: number): readonly T[]
  /** Waits no longer for those that have nothing at hand; says which. */
  letGo(): readonly Part<T>[]
}

/** Ordered by time as far as each part is: times that go back within one keep that part's order. Holds one item of each. */
export function createHistory<T>(timeOf: (item: T) => number): History<T> {
  const heads = new Map<Part<T>, T | undefined>()

  /** Undefined when there is none, or when it is not known. */
  function oldest(): Part<T> | undefined {
    let best: Part<T> | undefined
    let bestMs = Number.POSITIVE_INFINITY
    for (const [part, waiting] of heads) {
      const head = waiting ?? part.next()
      if (head === undefined) {
        if (!part.isAtEnd) return undefined
        heads.delete(part)
        continue
      }
      if (head !== waiting) heads.set(part, head)
      const ms = timeOf(head)
      if (best !== undefined && ms >= bestMs) continue
      best = part
      bestMs = ms
    }
    return best
  }

  return {
    get isOver() {
      return heads.size === 0
    },
    add(part) {
      heads.set(part, undefined)
    },
    remove(part) {
      heads.delete(part)
    },
    take(max) {
      const taken: T[] = []
      while (taken.length < max) {
        const part = oldest()
        const head = part && heads.get(part)
        if (part === undefined || head === undefined) break
        taken.push(head)
        heads.set(part, undefined)
      }
      return taken
    },
    letGo() {
      const late = [...heads].flatMap(([part, head]) => (head === undefined ? [part] : []))
      for (const part of late) heads.delete(part)
      return late
    },
  }
}
