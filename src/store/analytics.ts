import type { SqlExecutor } from '../transports/transport.ts'
import { countEvents } from './count-traffic.ts'

/** One type, over all sources; as far as analytics has counted. */
export interface TypeTraffic {
  readonly type: string
  readonly lastMs: number
  /** Minutes with an event, of the hour before its last one. */
  readonly activeMinutes: number
}

/** What evt says of itself is neither expected nor usual, and no sign that anybody publishes. */
const others = `type not like 'alert.%' and type not like 'saga.due.%'`

/** Types of the last two hours; those that were silent for longer are not missed any more. */
export async function readTypeTraffic(sql: SqlExecutor): Promise<readonly TypeTraffic[]> {
  const { rows } = await sql.query(`
    select t.type, (extract(epoch from t.last_at) * 1000)::float8 as "lastMs",
      (select count(distinct m.minute)::int from evt.analytics_minutes m
        where m.type = t.type and m.minute > t.last_at - interval '1 hour' and m.minute <= t.last_at) as "activeMinutes"
    from (select type, max(last_at) as last_at from evt.analytics_totals group by type) t
    where t.last_at > now() - interval '2 hours' and ${others} order by t.last_at limit 1000`)
  return rows as unknown as readonly TypeTraffic[]
}

/** The last event of each type, however long ago. */
export async function readLastOfTypes(sql: SqlExecutor): Promise<readonly TypeTraffic[]> {
  const { rows } = await sql.query(`
    select type, (extract(epoch from max(last_at)) * 1000)::float8 as "lastMs", 0 as "activeMinutes"
    from evt.analytics_totals where ${others} group by type limit 5000`)
  return rows as unknown as readonly TypeTraffic[]
}

/** Fewer minutes say nothing of what is usual. */
const leastMinutes = 10

/**
 * The median minute of the hour before the last event, so that silence does not become usual; null while too little is known, and when the last event
 * is a day old. The running minute and what evt says of itself do not count.
 */
export async function readUsualPerMinute(sql: SqlExecutor): Promise<number | null> {
  const { rows } = await sql.query(`
    with last as (
      select max(minute) as minute from evt.analytics_minutes
      where minute >= now() - interval '1 day' and minute < date_trunc('minute', now()) and ${others}
    ), counted as (
      select m.minute, sum(m.events) as events from evt.analytics_minutes m, last
      where m.minute > last.minute - interval '1 hour' and m.minute <= last.minute and ${others} group by 1
    ), span as (
      select generate_series((select min(minute) from counted), (select minute from last), interval '1 minute') as minute
    )
    select count(*)::int as minutes, percentile_cont(0.5) within group (order by coalesce(c.events, 0))::float8 as usual
    from span left join counted c using (minute)`)
  const row = rows[0] as { minutes: number; usual: number | null } | undefined
  return row === undefined || row.minutes < leastMinutes ? null : row.usual
}

export interface Published {
  /** How far analytics has counted. */
  readonly counted: bigint
  /** Up to the end of the log, but for what evt says of itself: the difference of two says what came between them. */
  readonly events: number
}

/** Analytics that is further behind is taken at its word: then evt's own events are few among the others. */
const mostUncounted = 10_000n

export async function readPublished(sql: SqlExecutor): Promise<Published> {
  const { rows } = await sql.query(`
    select coalesce((select position from evt.watch_tasks where task = 'analytics'), -1)::text as counted,
      (select coalesce(sum(events), 0) from evt.analytics_totals where ${others})::float8 as events, coalesce(evt.head(), 0)::text as head`)
  const row = rows[0] as { counted: string; events: number; head: string }
  const [counted, head] = [BigInt(row.counted), BigInt(row.head)]
  if (counted < 0n || counted >= head) return { counted, events: row.events }
  const isFar = head - counted > mostUncounted
  const more = isFar ? Number(head - counted) : await countEvents(sql, { after: counted, upTo: head }, others)
  return { counted, events: row.events + more }
}
