import type { SqlExecutor } from '../../transports/transport.ts'

export interface AnalyticsOptions {
  /** How far back, minutes; default 60. Minutes are kept for seven days, what is popular for thirty. */
  readonly minutes?: number
  /** Of each list; default 20. */
  readonly limit?: number
}

export interface Popular {
  readonly key: string
  /** Too much by `error` at most: only the most frequent ones are counted. */
  readonly events: number
  readonly error: number
}

/** What one user did: how much of what, and when first and last. */
export interface UserBehaviour extends Popular {
  readonly types: Readonly<Record<string, number>>
  readonly firstAt: string
  readonly lastAt: string
}

export interface TypeRate {
  readonly type: string
  readonly events: number
  readonly bytes: number
  readonly perMinute: number
  /** The second half of the time over the first: 2 is twice as much; null where the first half had none. */
  readonly trend: number | null
}

export interface Analytics {
  readonly minutes: number
  readonly events: number
  readonly perMinute: number
  readonly types: readonly TypeRate[]
  readonly sources: readonly { readonly source: string; readonly events: number; readonly perMinute: number }[]
  readonly subjects: readonly Popular[]
  readonly users: readonly UserBehaviour[]
  /** The oldest first; minutes without an event are left out. */
  readonly series: readonly { readonly minute: string; readonly events: number; readonly bytes: number }[]
}

const typesSql = `
  select type, sum(events)::float8 as events, sum(bytes)::float8 as bytes, sum(events)::float8 / $1 as "perMinute",
    sum(events) filter (where minute >= now() - make_interval(secs => $1 * 30))::float8
      / nullif(sum(events) filter (where minute < now() - make_interval(secs => $1 * 30)), 0) as trend
  from evt.analytics_minutes where minute >= now() - make_interval(secs => $1 * 60)
  group by type order by 2 desc, 1 limit $2`

const sourcesSql = `
  select source, sum(events)::float8 as events, sum(events)::float8 / $1 as "perMinute"
  from evt.analytics_minutes where minute >= now() - make_interval(secs => $1 * 60) group by source order by 2 desc, 1 limit $2`

const seriesSql = `
  select to_char(minute at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') as minute, sum(events)::float8 as events, sum(bytes)::float8 as bytes
  from evt.analytics_minutes where minute >= now() - make_interval(secs => $1 * 60) group by minute order by minute`

const popularSql = (kind: 'subject' | 'user') => `
  with chosen as (
    select * from evt.analytics_popular where kind = '${kind}' and hour >= date_trunc('hour', now() - make_interval(secs => $1 * 60))
  ), most as (
    select key, sum(events)::float8 as events, sum(error)::float8 as error, min(first_at) as first_at, max(last_at) as last_at
    from chosen group by key order by 2 desc, 1 limit $2
  )
  select most.key, most.events, most.error, to_json(most.first_at) #>> '{}' as "firstAt", to_json(most.last_at) #>> '{}' as "lastAt",
    (select json_object_agg(type, events) from (
      select type, sum(count::float8) as events from chosen c, jsonb_each_text(c.types) t (type, count) where c.key = most.key group by type
    ) each_type) as types
  from most order by most.events desc, most.key`

/** Rates, what is popular, trends and what users do, as a bridge has counted it. Reads only; hours of what is popular count whole. */
export async function readAnalytics(
  sql: SqlExecutor,
  { minutes = 60, limit = 20 }: AnalyticsOptions = {},
): Promise<Analytics> {
  const types = (await sql.query(typesSql, [minutes, limit])).rows as unknown as Analytics['types']
  const sources = (await sql.query(sourcesSql, [minutes, limit])).rows as unknown as Analytics['sources']
  const series = (await sql.query(seriesSql, [minutes])).rows as unknown as Analytics['series']
  const subjects = (await sql.query(popularSql('subject'), [minutes, limit]))
    .rows as unknown as readonly UserBehaviour[]
  const users = (await sql.query(popularSql('user'), [minutes, limit])).rows as unknown as readonly UserBehaviour[]
  const events = series.reduce((sum, minute) => sum + minute.events, 0)
  return {
    minutes,
    events,
    perMinute: events / minutes,
    types,
    sources,
    subjects: subjects.map(({ key, events: count, error }) => ({ key, events: count, error })),
    users,
    series,
  }
}
