/** How many events of a key came lately; JSON. Changed where it stands: there may be 25,000 a second. */
export interface Counted {
  /** When, and how many from then on; by time. */
  readonly slots: [atMs: number, events: number][]
  total: number
  /** So long it holds, or has held. */
  untilMs: number
  /** It was enough since somebody asked. */
  isNew: boolean
}

export interface CountOver {
  /** Costs the same whatever `atLeast` is. */
  add(before: Counted | undefined, atMs: number): Counted
  /** Whether enough came within the time, at this time or since this was last asked. */
  takeHolding(counted: Counted, atMs: number): boolean
  /** Nothing of it counts any more. */
  isOver(counted: Counted, atMs: number): boolean
}

/** So many times are kept of a key; of more events, those that lie near each other share one. */
const mostSlots = 64

/** At least so many events within a time. Above 64 of them, the time is exact to a 64th: memory does not grow with the number. */
export function countOver({ atLeast, withinMs }: { readonly atLeast: number; readonly withinMs: number }): CountOver {
  const widthMs = atLeast > mostSlots ? withinMs / mostSlots : 0

  function put({ slots }: Counted, atMs: number): void {
    let at = slots.length - 1
    // Commits come nearly in order.
    while (at >= 0 && (slots[at]?.[0] ?? 0) > atMs) at -= 1
    const [before, behind] = [slots[at], slots[at + 1]]
    if (before && atMs - before[0] <= widthMs) before[1] += 1
    else if (behind && behind[0] - atMs <= widthMs) behind[1] += 1
    else slots.splice(at + 1, 0, [atMs, 1])
  }

  /** Only the last ones decide. */
  function trim(counted: Counted): void {
    const { slots } = counted
    const newestMs = slots.at(-1)?.[0] ?? 0
    for (let [first] = slots; first; [first] = slots) {
      if (first[0] >= newestMs - withinMs && counted.total - first[1] < atLeast) return
      counted.total -= first[1]
      slots.shift()
    }
  }

  return {
    add(before, atMs) {
      const counted = before ?? { slots: [], total: 0, untilMs: 0, isNew: false }
      put(counted, atMs)
      counted.total += 1
      trim(counted)
      if (counted.total < atLeast) return counted
      counted.untilMs = Math.max(counted.untilMs, (counted.slots[0]?.[0] ?? 0) + withinMs)
      counted.isNew = true
      return counted
    },
    takeHolding(counted, atMs) {
      const { isNew, untilMs } = counted
      counted.isNew = false
      return isNew || untilMs >= atMs
    },
    isOver: ({ slots }, atMs) => atMs - (slots.at(-1)?.[0] ?? 0) > withinMs,
  }
}
