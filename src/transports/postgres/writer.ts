import { nextTick } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { shortStatements } from '../../store/connection.ts'
import type { Problems } from '../problems.ts'
import type { SqlExecutor } from '../transport.ts'
import type { LogLane } from './lane.ts'
import { flushPositions, type LanePosition, markStarts } from './progress.ts'

const retryMs = 50

/**
 * Writes what has to outlive this process, not the server: started marks and settled positions, with asynchronous commits, on a
 * connection of its own. Marks that come while one is under way go together in the next: many lanes cost one statement.
 */
export interface LaneWriter {
  /** Resolves when it is written; false when the lane is not ours, or at close. */
  mark(lane: LogLane, position: bigint): Promise<boolean>
  /** Which were written: lanes that a handler's transaction holds are passed over. Throws when the server does not answer. */
  flush(positions: readonly LanePosition[]): Promise<readonly boolean[]>
  /** Idempotent. */
  close(): Promise<void>
}

interface Waiting extends LanePosition {
  resolve(isOurs: boolean): void
}

export function createLaneWriter(connectionString: string, problems: Problems): LaneWriter {
  const pool = new pg.Pool({
    connectionString,
    application_name: 'evt lane marks',
    max: 1,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 0,
    ...shortStatements,
    async onConnect(client) {
      await client.query('set synchronous_commit = off')
    },
  })
  pool.on('error', () => {})
  const sql: SqlExecutor = {
    query: (text, values) => pool.query({ name: nameOf(text), text, values: [...(values ?? [])] }),
  }
  const names = new Map<string, string>()
  let waiting: Waiting[] = []
  let running: Promise<void> | undefined
  let closing: Promise<void> | undefined
  const stopping = new AbortController()

  function nameOf(text: string): string {
    const known = names.get(text) ?? `evt_lanes_${names.size}`
    names.set(text, known)
    return known
  }

  async function writeMarks(): Promise<void> {
    // Lanes that got something in the same turn, a page of the log, go together.
    await new Promise<void>(nextTick)
    while (waiting.length > 0) {
      const batch = waiting
      waiting = []
      try {
        const ours = await markStarts(sql, batch)
        for (const [i, mark] of batch.entries()) mark.resolve(ours[i] ?? false)
      } catch (error) {
        await delay(problems.report(error, retryMs), undefined, { signal: stopping.signal }).catch(() => {})
        // Nothing may be handed out unmarked: it waits for the server.
        for (const mark of batch) {
          if (closing !== undefined || mark.lane.lost.aborted) mark.resolve(false)
          else waiting.push(mark)
        }
      }
    }
    running = undefined
  }

  return {
    mark(lane, position) {
      if (closing !== undefined) return Promise.resolve(false)
      const { promise, resolve } = Promise.withResolvers<boolean>()
      waiting.push({ lane, position, resolve })
      running ??= writeMarks()
      return promise
    },
    flush: (positions) => flushPositions(sql, positions),
    close() {
      stopping.abort()
      closing ??= Promise.resolve(running).then(() => pool.end())
      return closing
    },
  }
}
