import pg from 'pg'
import { placeOf, type Store, shortStatements } from './connection.ts'
import { translateError } from './errors.ts'
import type { TextRow } from './event-row.ts'

/** A connection of its own for readers of the log and the outbox; opened on first use, again after a loss. */
export interface Reading {
  /** Rows as arrays of text. Statements are prepared once under `name`. Throws EvtError as the store does. */
  rows(name: string, text: string, values: readonly unknown[]): Promise<readonly TextRow[]>
  close(): Promise<void>
}

// Plans must not flip while partitions grow: index lookups, one plan for all pages. Times are printed in UTC.
const settings = `set timezone = 'UTC'; set datestyle = 'ISO'; set jit = off; set plan_cache_mode = force_generic_plan;
  set enable_hashjoin = off; set enable_mergejoin = off; set enable_seqscan = off; set enable_bitmapscan = off;
  set default_transaction_read_only = on; set enable_material = off`
const asText = { getTypeParser: () => (value: unknown) => value }

export interface ReadingOptions {
  /** How long an answer may take; default 30,000 ms. */
  readonly answerMs?: number
}

export function openReading(store: Store, applicationName: string, options: ReadingOptions = {}): Reading {
  const place = placeOf(store.connectionString)
  const pool = new pg.Pool({
    connectionString: store.connectionString,
    application_name: applicationName,
    max: 1,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 0,
    ...shortStatements,
    ...(options.answerMs === undefined ? {} : { query_timeout: options.answerMs }),
    // The pool waits for it before it hands the connection out.
    onConnect: async (client) => {
      await client.query(settings)
    },
  })
  pool.on('error', () => {})
  return {
    async rows(name, text, values) {
      try {
        const query = { name, text, values: [...values], rowMode: 'array' as const, types: asText as never }
        return (await pool.query(query)).rows as TextRow[]
      } catch (error) {
        throw translateError(error, place)
      }
    },
    close: () => pool.end(),
  }
}
