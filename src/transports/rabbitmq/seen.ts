export interface PositionInLog {
  /** Positions of different logs are never compared. */
  readonly logId: string
  readonly log: number
}

/** Positions of the log that came before: what a relay sends again after a crash. */
export interface Seen {
  /** False when it is among the last that came. */
  add(position: PositionInLog): boolean
}

/** A topic has one or a few; somebody may send a new name with every message. */
const mostLogs = 100

/**
 * Remembers the last positions, not only the highest: what a broker refused in the middle of a batch comes later with a lower position, and was
 * never seen. Twice what a relay sends at once.
 */
export function createSeen(most = 10_000): Seen {
  /** Of each log, in the order of coming. */
  const logs = new Map<string, Set<number>>()
  return {
    add({ logId, log }) {
      const positions = logs.get(logId) ?? new Set()
      logs.set(logId, positions)
      if (logs.size > mostLogs) logs.delete(logs.keys().next().value as string)
      if (positions.has(log)) return false
      positions.add(log)
      if (positions.size > most) positions.delete(positions.values().next().value as number)
      return true
    },
  }
}
