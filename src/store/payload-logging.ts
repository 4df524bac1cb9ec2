import type { SqlExecutor } from '../transports/transport.ts'
import type { Audit } from './audit.ts'
import type { Store } from './connection.ts'

export interface PayloadSwitch {
  readonly pattern: string
  readonly who: string
  readonly forMs: number
  readonly reason?: string | undefined
}

/** From now on, for so long; a second time: from now on, for the new time. */
export async function logPayloads(
  store: Store,
  { pattern, who, forMs, reason }: PayloadSwitch,
  audit: Audit,
): Promise<void> {
  await store.transaction(async (sql) => {
    await sql.query(
      `insert into evt.payload_logging (pattern, until, changed_by, reason)
       values ($1, clock_timestamp() + $2 * interval '1 ms', $3, $4)
       on conflict (pattern) do update set until = excluded.until, changed_at = clock_timestamp(), changed_by = excluded.changed_by,
         reason = excluded.reason`,
      [pattern, forMs, who, reason ?? null],
    )
    await sql.query('delete from evt.payload_logging where until < clock_timestamp()')
    await audit(sql, 1)
  })
}

/** Patterns of types whose payloads are to be logged now. */
export async function readLoggedPatterns(sql: SqlExecutor): Promise<readonly string[]> {
  const { rows } = await sql.query(
    'select pattern from evt.payload_logging where until > clock_timestamp() order by pattern limit 100',
  )
  return rows.map(({ pattern }) => String(pattern))
}
