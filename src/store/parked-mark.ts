import type { SqlExecutor } from '../transports/transport.ts'

// Losing the mark in a crash of the server is harmless: whoever leads after it sets it anew.
const withoutWaiting = `set_config('synchronous_commit', 'off', true)`

/**
 * From now on writers notify. Returns what to hand to `openAtParking`: writers that were open at this moment may have seen
 * the relay awake.
 */
export async function park(sql: SqlExecutor): Promise<string> {
  await sql.query(`select ${withoutWaiting}, setval('evt.parked', 2)`)
  const { rows } = await sql.query('select pg_snapshot_xmax(pg_current_snapshot())::text as next')
  return (rows[0] as { next: string }).next
}

/** From now on writers do not notify: the relay looks by itself. */
export async function unpark(sql: SqlExecutor): Promise<void> {
  await sql.query(`select ${withoutWaiting}, setval('evt.parked', 1)`)
}

/** Whether a transaction is still open that may not have seen the mark. */
export async function openAtParking(sql: SqlExecutor, next: string): Promise<boolean> {
  const { rows } = await sql.query('select pg_snapshot_xmin(pg_current_snapshot()) < $1::text::xid8 as open', [next])
  return (rows[0] as { open: boolean }).open
}

/** False where NOTIFY is off: it would fail two-phase commits. */
export async function canNotify(sql: SqlExecutor): Promise<boolean> {
  const { rows } = await sql.query('select evt.notifies() as on')
  return (rows[0] as { on: boolean }).on
}
