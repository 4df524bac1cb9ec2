/** Positions of the log that came before: what a relay sends again after a crash. */
export interface Seen {
  /** False when it is among the last that came. */
  add(log: number): boolean
}

/**
 * Remembers the last positions, not only the highest: what a broker refused in the middle of a batch comes later with a lower position, and was
 * never seen. Twice what a relay sends at once.
 */
export function createSeen(most = 10_000): Seen {
  const positions = new Set<number>()
  return {
    add(log) {
      if (positions.has(log)) return false
      positions.add(log)
      if (positions.size > most) positions.delete(positions.values().next().value as number)
      return true
    },
  }
}
