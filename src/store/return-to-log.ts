import type { SqlExecutor } from '../transports/transport.ts'

const waiting = `(select handler, topic from evt.deliveries union all
  select p.handler, d.topic from evt.parked_subjects p join evt.dead_letters d on d.id = p.blocked_by) waiting`

/** Events of it wait in lanes of the log: only who owns those goes on with them. */
export async function waitsInLog(sql: SqlExecutor, handler: string): Promise<boolean> {
  const { rows } = await sql.query(`select from ${waiting} where handler = $1 and topic = 'log' limit 1`, [handler])
  return rows.length > 0
}

/** How many of its events wait for a retry, behind one, or for an operator. */
export async function countWaiting(sql: SqlExecutor, handler: string): Promise<number> {
  const { rows } = await sql.query(`select count(*)::int as count from ${waiting} where handler = $1`, [handler])
  return Number(rows[0]?.count)
}

/** Events of the log that its group has not passed. */
export async function logLag(sql: SqlExecutor, handler: string): Promise<bigint> {
  const { rows } = await sql.query(
    'select greatest(evt.head() - min(position), 0)::text as behind from evt.lanes where group_name = $1',
    [handler],
  )
  return BigInt(String(rows[0]?.behind ?? 0))
}

/**
 * A handler of a sink gets a group in the log that begins behind `after`; what waits in lanes of the sink goes on in those of the log.
 * Returns how many events of the log are before it.
 */
export async function returnToLog(
  sql: SqlExecutor,
  { handler, lanes }: { readonly handler: string; readonly lanes: number },
  after: bigint,
): Promise<bigint> {
  const made = await sql.query('select evt.ensure_group($1, $2, $3) as lanes', [handler, lanes, String(after)])
  const count = Number(made.rows[0]?.lanes)
  const lane = (key: string) => `'log/' || get_byte(decode(md5(${key}), 'hex'), 0) % $2::integer`
  for (const table of ['deliveries', 'dead_letters'])
    await sql.query(
      `update evt.${table} set topic = 'log', at = coalesce(position::text, at), lane = ${lane('coalesce(subject, event_id)')}
       where handler = $1 and topic <> 'log'`,
      [handler, count],
    )
  await sql.query(`update evt.parked_subjects set lane = ${lane('subject')} where handler = $1`, [handler, count])
  return logLag(sql, handler)
}
