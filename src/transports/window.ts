/** Which messages of one lane are handed out and not settled. Positions are handed out in ascending order. */
export interface Window {
  readonly unsettled: number
  /** Throws nothing; a position that is in the window already keeps its place. */
  add(position: bigint): void
  /** False when the position was not in the window, or settled before. */
  settle(position: bigint): boolean
  /**
   * The last position of the settled prefix: one before the first unsettled one, or `reached` when nothing is unsettled.
   * `also` counts as settled, without being so.
   */
  prefix(reached: bigint, also?: ReadonlySet<bigint>): bigint
}

interface Entry {
  readonly position: bigint
  settled: boolean
}

/** The contiguous watermark of a lane: any order in, only a prefix out. */
export function createWindow(): Window {
  const entries = new Map<bigint, Entry>()
  let order: Entry[] = []
  let head = 0

  function dropSettled(): void {
    while (head < order.length && order[head]?.settled) head++
    if (head > 1024 && head * 2 > order.length) {
      order = order.slice(head)
      head = 0
    }
  }

  return {
    get unsettled() {
      return entries.size
    },
    add(position) {
      if (entries.has(position)) return
      const entry = { position, settled: false }
      entries.set(position, entry)
      order.push(entry)
    },
    settle(position) {
      const entry = entries.get(position)
      if (entry === undefined) return false
      entry.settled = true
      entries.delete(position)
      dropSettled()
      return true
    },
    prefix(reached, also) {
      for (let i = head; i < order.length; i++) {
        const entry = order[i]
        if (entry !== undefined && !entry.settled && !also?.has(entry.position)) return entry.position - 1n
      }
      return reached
    },
  }
}
