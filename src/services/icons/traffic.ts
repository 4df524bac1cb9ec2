import { setTimeout as wait } from 'node:timers/promises'
import { type Applied, createWriter, type Kind } from './traffic/writer.ts'

/** The little that the demo's writers need of a database. */
export interface TrafficSql {
  query(text: string, values?: readonly unknown[]): Promise<{ readonly rows: readonly Record<string, unknown>[] }>
}

export interface TrafficOptions {
  /** Runs work in one transaction: committed when it returns, rolled back when it throws. */
  readonly database: { transaction<T>(work: (sql: TrafficSql) => Promise<T>): Promise<T> }
  /** The same seed makes the same writes in the same order, ids included. */
  readonly seed: number
  /** Transactions per second that are begun; a slow database makes it fewer, never more afterwards. */
  readonly ratePerSecond: number
  /** Share of writes that some handler will trip over, 0..1. */
  readonly poisonRatio: number
  /** Ends the traffic after the transaction in hand. */
  readonly signal: AbortSignal
  /** Ends it by itself after so many transactions. */
  readonly count?: number
}

export interface TrafficCounts {
  committed: number
  rolledBack: number
  failed: number
  poisoned: number
  readonly byKind: Partial<Record<Kind, number>>
}

export interface Traffic {
  readonly counts: TrafficCounts
  /**
   * Writes to the application's tables until the signal aborts or the count is reached. A transaction that fails is
   * counted, and passed to `onError`; the next one is tried.
   */
  run(onError?: (error: unknown) => void): Promise<TrafficCounts>
}

/** An application at work: people register, write, publish, change plans and leave; some of it is rolled back. */
export function createTraffic(options: TrafficOptions): Traffic {
  const { database, signal, ratePerSecond } = options
  const writer = createWriter(options.seed, options.poisonRatio)
  const counts: TrafficCounts = { committed: 0, rolledBack: 0, failed: 0, poisoned: 0, byKind: {} }

  const count = (applied: Applied, end: 'committed' | 'rolledBack' | 'failed'): void => {
    counts[end] += 1
    if (end !== 'committed') return
    counts.byKind[applied.kind] = (counts.byKind[applied.kind] ?? 0) + 1
    if (applied.poisoned) counts.poisoned += 1
  }
  const writeOnce = async (onError: (error: unknown) => void): Promise<void> => {
    const next = writer.next()
    try {
      await database.transaction(async (sql) => {
        for (const { text, values } of next.statements) await sql.query(text, values)
        if (next.rollsBack) throw changedMind
      })
      next.keep()
      count(next, 'committed')
    } catch (error) {
      count(next, error === changedMind ? 'rolledBack' : 'failed')
      if (error !== changedMind) onError(error)
    }
  }
  return {
    counts,
    async run(onError = () => {}) {
      const interval = 1_000 / ratePerSecond
      let due = performance.now()
      for (let done = 0; !signal.aborted && done < (options.count ?? Infinity); done++) {
        await writeOnce(onError)
        due = Math.max(due + interval, performance.now() - interval)
        const left = due - performance.now()
        if (left > 1) await wait(left, undefined, { signal }).catch(() => {})
      }
      return counts
    },
  }
}

/** Thrown inside a transaction to roll it back, as an application does whose user changed their mind. */
const changedMind = new Error('rolled back on purpose')
