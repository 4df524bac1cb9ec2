import { maxFieldBytes } from '../core/limits.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import { outboxLeaf } from './partition-names.ts'

export interface LogRange {
  readonly after: bigint
  readonly upTo: bigint
}

/** Beyond so many pairs of type and source, new ones are counted together: both come from whoever publishes. */
const mostPairs = 5_000
/** Keys that are counted for an hour, as space-saving counters. */
const mostPopular = 500
/** More of one range are looked at by samples: what is popular shows in them as well. */
const wholeRange = 10_000

/**
 * Adds the events of a range to the minutes, the totals and what is popular, where the counting is exact but for the last. To be called in
 * the transaction that notes the place: no event counts twice. Events of the class `scratch` do not count.
 */
export async function countTraffic(sql: SqlExecutor, range: LogRange): Promise<void> {
  const bounds = [String(range.after), String(range.upTo)]
  const nth = Math.max(1, Math.ceil(Number(range.upTo - range.after) / wholeRange))
  for (const { name, day, leaf } of await leavesOf(sql, bounds)) {
    await sql.query(countSql(leaf), [...bounds, name, day])
    for (const kind of ['subject', 'user'] as const)
      await sql.query(popularSql(leaf, kind), [...bounds, name, day, nth])
  }
}

/** How many events of a range count, of those that meet a condition in SQL. */
export async function countEvents(sql: SqlExecutor, range: LogRange, condition: string): Promise<number> {
  const bounds = [String(range.after), String(range.upTo)]
  let events = 0
  for (const { name, day, leaf } of await leavesOf(sql, bounds)) {
    const text = `select count(*)::int as events from ${eventsOf(leaf)} and ${condition}`
    events += Number((await sql.query(text, [...bounds, name, day])).rows[0]?.events)
  }
  return events
}

/** The partitions that a range lies in. */
async function leavesOf(sql: SqlExecutor, bounds: readonly string[]) {
  const { rows } = await sql.query(
    `select distinct class, day::text as day from evt.log where position > $1 and position <= $2 and class <> 'scratch'`,
    bounds,
  )
  const leaves: { readonly name: string; readonly day: string; readonly leaf: string }[] = []
  for (const { class: name, day } of rows as { class: string; day: string }[]) {
    const leaf = outboxLeaf(name, day)
    if (await exists(sql, leaf)) leaves.push({ name, day, leaf })
  }
  return leaves
}

/** Retention may have taken that day. */
const exists = async (sql: SqlExecutor, leaf: string): Promise<boolean> =>
  (await sql.query('select to_regclass($1) is not null as here', [leaf])).rows[0]?.here === true

const eventsOf = (leaf: string) => `evt.log l join only ${leaf} o on o.xid = l.xid and o.seq = l.seq
    where l.position > $1 and l.position <= $2 and l.class = $3 and l.day = $4::date`

/** As `fitting` of core, for what was written when nothing bounded it. */
const sourceSql = `case when octet_length(o.source) <= ${maxFieldBytes} then o.source
    else left(o.source, 100) || '…' || encode(sha256(convert_to(o.source, 'UTF8')), 'hex') end`

const countSql = (leaf: string) => `
  with seen as (
    select date_trunc('minute', o.recorded_at) as minute, o.type, ${sourceSql} as source, count(*) as events,
      sum(octet_length(o.data::text)) as bytes, min(o.recorded_at) as first_at, max(o.recorded_at) as last_at
    from ${eventsOf(leaf)} group by 1, 2, 3
  ), room as (select ${mostPairs} - count(*) as pairs from evt.analytics_totals
  ), known as (
    select s.*, t.type is not null as known, dense_rank() over (partition by t.type is null order by s.type, s.source) as nth
    from seen s left join evt.analytics_totals t on t.type = s.type and t.source = s.source
  ), named as (
    select minute, case when fits then type else 'other' end as type, case when fits then source else 'other' end as source,
      sum(events) as events, sum(bytes) as bytes, min(first_at) as first_at, max(last_at) as last_at
    from (select k.*, known or nth <= room.pairs as fits from known k, room) k group by 1, 2, 3
  ), minutes as (
    insert into evt.analytics_minutes as m (minute, type, source, events, bytes)
    select minute, type, source, events, bytes from named
    on conflict (minute, type, source) do update set events = m.events + excluded.events, bytes = m.bytes + excluded.bytes
  )
  insert into evt.analytics_totals as t (type, source, events, bytes, first_at, last_at)
  select type, source, sum(events), sum(bytes), min(first_at), max(last_at) from named group by 1, 2
  on conflict (type, source) do update set events = t.events + excluded.events, bytes = t.bytes + excluded.bytes,
    first_at = least(t.first_at, excluded.first_at), last_at = greatest(t.last_at, excluded.last_at)`

/** Space-saving (Metwally et al. 2005): a key that is new to a full table begins with the least count, which is its error. */
const popularSql = (leaf: string, kind: 'subject' | 'user') => {
  const key = kind === 'subject' ? 'o.subject' : 'o.user_id'
  return `
  with seen as (
    select date_trunc('hour', o.recorded_at) as hour, left(${key}, 300) as key, o.type, count(*) * $5::int as events,
      min(o.recorded_at) as first_at, max(o.recorded_at) as last_at
    from ${eventsOf(leaf)} and ${key} is not null and l.position % $5::int = 0 group by 1, 2, 3
  ), keys as (
    select hour, key, sum(events) as events, jsonb_object_agg(type, events) as types, min(first_at) as first_at, max(last_at) as last_at,
      row_number() over (partition by hour order by sum(events) desc, key) as nth
    from seen group by 1, 2
  ), full_hours as (
    select hour, min(events) as least from evt.analytics_popular where kind = '${kind}' group by 1 having count(*) >= ${mostPopular}
  )
  insert into evt.analytics_popular as p (hour, kind, key, events, error, types, first_at, last_at)
  select k.hour, '${kind}', k.key, k.events + coalesce(f.least, 0), coalesce(f.least, 0), k.types, k.first_at, k.last_at
  from keys k left join full_hours f on f.hour = k.hour where k.nth <= ${mostPopular}
  on conflict (hour, kind, key) do update set
    events = p.events + excluded.events - excluded.error,
    types = (select jsonb_object_agg(type, events) from (
      select type, sum(events::bigint) as events from (
        select * from jsonb_each_text(p.types) union all select * from jsonb_each_text(excluded.types)) both_sides (type, events)
      group by 1 order by 2 desc limit 20) merged),
    first_at = least(p.first_at, excluded.first_at), last_at = greatest(p.last_at, excluded.last_at)`
}

const minutesKept = '7 days'
const hoursKept = '30 days'

/** What is old, and what is not among the most popular of its hour. */
export async function tidyTraffic(sql: SqlExecutor): Promise<void> {
  await sql.query(`delete from evt.analytics_minutes where minute < now() - interval '${minutesKept}'`)
  await sql.query(`
    delete from evt.analytics_popular p using (
      select hour, kind, key, row_number() over (partition by hour, kind order by events desc, key) as nth from evt.analytics_popular
      where hour >= now() - interval '2 hours'
    ) ranked
    where ranked.hour = p.hour and ranked.kind = p.kind and ranked.key = p.key and ranked.nth > ${mostPopular}`)
  await sql.query(`delete from evt.analytics_popular where hour < now() - interval '${hoursKept}'`)
}
