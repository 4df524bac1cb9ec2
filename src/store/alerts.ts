import type { SqlExecutor } from '../transports/transport.ts'

export interface AlertRow {
  readonly alert: string
  /** What it is about: a handler, a type, a subject; empty for the whole. */
  readonly key: string
  readonly severity: string
  readonly state: 'pending' | 'firing' | 'resolved'
  /** Ms since the epoch, by the server's clock. */
  readonly sinceMs: number
  readonly firedMs: number | null
  readonly resolvedMs: number | null
  readonly toldMs: number | null
  readonly value: number | null
  readonly says: string
}

export interface AlertNotice {
  readonly alert: string
  readonly target: string
  readonly body: object
}

export interface DueNotice extends AlertNotice {
  readonly id: string
  readonly attempts: number
}

const ms = (column: string) => `(extract(epoch from ${column}) * 1000)::float8`
const columns = `alert, key, severity, state, ${ms('since')} as "sinceMs", ${ms('fired_at')} as "firedMs",
  ${ms('resolved_at')} as "resolvedMs", ${ms('told_at')} as "toldMs", value, says`

/** Those that fire first, then pending ones, then resolved ones of the last days; the newest first. */
export async function listAlerts(
  sql: SqlExecutor,
  { all = false, limit = 1_000 }: { readonly all?: boolean; readonly limit?: number | 'none' } = {},
): Promise<readonly AlertRow[]> {
  const { rows } = await sql.query(
    `select ${columns} from evt.alerts where $1 or state <> 'resolved'
     order by array_position(array['firing', 'pending', 'resolved'], state), since desc, alert, key limit $2`,
    [all, limit === 'none' ? null : limit],
  )
  return rows as unknown as readonly AlertRow[]
}

/** Rows of resolved alerts go after so long. */
const keptDays = 30

export async function putAlerts(sql: SqlExecutor, rows: readonly AlertRow[]): Promise<void> {
  if (rows.length === 0) return
  await sql.query(
    `insert into evt.alerts (alert, key, severity, state, since, fired_at, resolved_at, told_at, value, says)
     select alert, key, severity, state, to_timestamp(since / 1000), to_timestamp(fired / 1000), to_timestamp(resolved / 1000),
       to_timestamp(told / 1000), value, says
     from json_to_recordset($1::json) as r (alert text, key text, severity text, state text, since float8, fired float8,
       resolved float8, told float8, value float8, says text)
     on conflict (alert, key) do update set severity = excluded.severity, state = excluded.state, since = excluded.since,
       fired_at = excluded.fired_at, resolved_at = excluded.resolved_at, told_at = excluded.told_at, value = excluded.value, says = excluded.says`,
    [
      JSON.stringify(
        rows.map(({ sinceMs: since, firedMs: fired, resolvedMs: resolved, toldMs: told, ...row }) => ({
          ...row,
          ...{ since, fired, resolved, told },
        })),
      ),
    ],
  )
}

export async function dropAlerts(sql: SqlExecutor, rows: readonly Pick<AlertRow, 'alert' | 'key'>[]): Promise<void> {
  for (const { alert, key } of rows)
    await sql.query('delete from evt.alerts where alert = $1 and key = $2', [alert, key])
}

export async function forgetAlerts(sql: SqlExecutor): Promise<void> {
  await sql.query(
    `delete from evt.alerts where state = 'resolved' and resolved_at < now() - interval '${keptDays} days'`,
  )
}

/** More wait for nobody: the oldest go. */
const mostNotices = 1_000

export async function addNotices(sql: SqlExecutor, notices: readonly AlertNotice[]): Promise<void> {
  for (const { alert, target, body } of notices)
    await sql.query('insert into evt.alert_notices (alert, target, body) values ($1, $2, $3)', [
      ...[alert, target],
      JSON.stringify(body),
    ])
  if (notices.length > 0)
    await sql.query(
      `delete from evt.alert_notices where id <= (select id from evt.alert_notices order by id desc offset ${mostNotices} limit 1)`,
    )
}

/** The oldest one of each target but these, if it is due. */
export async function dueNotices(
  sql: SqlExecutor,
  without: readonly string[],
  limit: number,
): Promise<readonly DueNotice[]> {
  const { rows } = await sql.query(
    `select * from (
       select distinct on (target) id::text, alert, target, body, attempts, due_at from evt.alert_notices
       where target <> all($1) order by target, id
     ) first where due_at <= clock_timestamp() order by due_at limit $2`,
    [without, limit],
  )
  return rows as unknown as readonly DueNotice[]
}

export async function removeNotice(sql: SqlExecutor, id: string): Promise<void> {
  await sql.query('delete from evt.alert_notices where id = $1', [id])
}

export async function postponeNotice(sql: SqlExecutor, id: string, delayMs: number): Promise<void> {
  await sql.query(
    `update evt.alert_notices set attempts = attempts + 1, due_at = clock_timestamp() + $2 * interval '1 ms' where id = $1`,
    [id, delayMs],
  )
}
