import type { SqlExecutor } from '../transports/transport.ts'

/** One type, over all sources; as far as analytics has counted. */
export interface TypeTraffic {
  readonly type: string
  readonly lastMs: number
  /** Minutes with an event, of the hour before its last one. */
  readonly activeMinutes: number
}

/** Types of the last two hours; those that were silent for longer are not missed any more. */
export async function readTypeTraffic(sql: SqlExecutor): Promise<readonly TypeTraffic[]> {
  const { rows } = await sql.query(`
    select t.type, (extract(epoch from t.last_at) * 1000)::float8 as "lastMs",
      (select count(distinct m.minute)::int from evt.analytics_minutes m
        where m.type = t.type and m.minute > t.last_at - interval '1 hour' and m.minute <= t.last_at) as "activeMinutes"
    from (select type, max(last_at) as last_at from evt.analytics_totals group by type) t
    where t.last_at > now() - interval '2 hours' order by t.last_at limit 1000`)
  return rows as unknown as readonly TypeTraffic[]
}

/** The last event of each type, however long ago. */
export async function readLastOfTypes(sql: SqlExecutor): Promise<readonly TypeTraffic[]> {
  const { rows } = await sql.query(`
    select type, (extract(epoch from max(last_at)) * 1000)::float8 as "lastMs", 0 as "activeMinutes"
    from evt.analytics_totals group by type limit 5000`)
  return rows as unknown as readonly TypeTraffic[]
}

/** Fewer minutes say nothing of what is usual. */
const leastMinutes = 10

/** The median minute of the last hour, the running one left out; null while too little is known. */
export async function readUsualPerMinute(sql: SqlExecutor): Promise<number | null> {
  const { rows } = await sql.query(`
    with counted as (
      select minute, sum(events) as events from evt.analytics_minutes
      where minute >= date_trunc('minute', now()) - interval '1 hour' and minute < date_trunc('minute', now()) group by 1
    ), span as (
      select generate_series(min(minute), date_trunc('minute', now()) - interval '1 minute', interval '1 minute') as minute from counted
    )
    select count(*)::int as minutes, percentile_cont(0.5) within group (order by coalesce(c.events, 0))::float8 as usual
    from span left join counted c using (minute)`)
  const row = rows[0] as { minutes: number; usual: number | null } | undefined
  return row === undefined || row.minutes < leastMinutes ? null : row.usual
}

/** How far analytics has counted. */
export async function readCountedPosition(sql: SqlExecutor): Promise<bigint> {
  const { rows } = await sql.query(`select position::text as position from evt.watch_tasks where task = 'analytics'`)
  return BigInt((rows[0] as { position: string } | undefined)?.position ?? -1)
}
