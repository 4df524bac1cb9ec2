// What the usage of icons tells, as it is at this moment: everything is computed from the service's own tables when it is asked for.
import type { ServiceSql } from '../../index.ts'

export interface AnalyticsOptions {
  /** How far back, minutes; default 60, at most the 30 days that are kept. */
  readonly minutes?: number
  /** Of each list; default 20. */
  readonly limit?: number
  /** The moment that it is about, RFC 3339; default now. */
  readonly at?: string
}

export interface LiveUsage {
  readonly sessions: number
  readonly users: number
  /** The busiest session first. */
  readonly busiest: readonly {
    readonly sessionId: string
    readonly userId: string
    readonly documents: number
    readonly uses: number
    readonly icons: readonly string[]
  }[]
}

export interface PopularIcon {
  readonly icon: string
  readonly uses: number
  readonly documents: number
  readonly users: number
  /** Uses, where one that is half of the time back counts half. */
  readonly score: number
}

export interface UserPattern {
  readonly userId: string
  readonly documents: number
  readonly uses: number
  /** Of everything that this user used: 1 is always another icon, near 0 always the same. */
  readonly variety: number
  /** At most three, the most used first. */
  readonly favourites: readonly string[]
  /** Hour of the day in UTC with most uses. */
  readonly busiestHour: number
  readonly sessions: number
}

export interface Trend {
  readonly icon: string
  readonly before: number
  readonly now: number
  /** The second half of the time over the first, one use added to each, so that few uses make no trend. */
  readonly factor: number
  readonly direction: 'rising' | 'falling' | 'steady'
}

export interface CacheAdvice {
  /** The best first; at most the capacity. */
  readonly keep: readonly string[]
  /** Of those to keep, what is not cached yet. */
  readonly warm: readonly string[]
  /** What is cached and not worth it. */
  readonly evict: readonly string[]
  /** Share of the uses that the kept icons would have answered, 0..1. */
  readonly hitRatio: number
}

export interface AnalyticsService {
  /** Over all sessions that are open. */
  liveUsage(options?: Pick<AnalyticsOptions, 'limit'>): Promise<LiveUsage>
  popular(options?: AnalyticsOptions): Promise<readonly PopularIcon[]>
  /** Uses by icon and hour, the oldest first. */
  byHour(options?: AnalyticsOptions): Promise<readonly { icon: string; hour: string; uses: number }[]>
  behaviour(options?: AnalyticsOptions): Promise<readonly UserPattern[]>
  /** The steepest first. */
  trends(options?: AnalyticsOptions): Promise<readonly Trend[]>
  /** Which icons to keep hot, in a cache of `capacity` icons that holds `cached`. */
  cacheAdvice(options: AnalyticsOptions & { capacity: number; cached?: readonly string[] }): Promise<CacheAdvice>
}

const within = `from icons.usage_minutes, (select coalesce($1::timestamptz, now()) as at) moment
  where minute <= at and minute > at - make_interval(mins => $2)`

const popularSql = `select icon, sum(uses)::float8 as uses, count(distinct document_id)::float8 as documents,
    count(distinct user_id)::float8 as users, sum(uses * power(0.5, extract(epoch from at - minute) / ($2 * 30)))::float8 as score
  ${within} group by icon order by score desc, icon limit $3`

const byHourSql = `select icon, to_char(date_trunc('hour', minute) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') as hour,
    sum(uses)::float8 as uses ${within} group by 1, 2 order by 2, 3 desc, 1 limit $3`

const behaviourSql = `with used as (select document_id, icon, minute, user_id, uses ${within})
  select user_id as "userId", count(distinct document_id)::float8 as documents, sum(uses)::float8 as uses,
    count(distinct icon)::float8 / sum(uses) as variety,
    (select array_agg(icon order by n desc, icon) from (
      select icon, sum(uses) as n from used own where own.user_id = used.user_id group by icon order by 2 desc, 1 limit 3) best) as favourites,
    (select extract(hour from minute at time zone 'UTC')::float8 from used own where own.user_id = used.user_id
      group by 1 order by sum(uses) desc, 1 limit 1) as "busiestHour",
    (select count(*)::float8 from icons.sessions s where s.user_id = used.user_id) as sessions
  from used group by user_id order by 3 desc, 1 limit $3`

const trendsSql = `select icon, before, now, (now + 1) / (before + 1) as factor from (
    select icon, coalesce(sum(uses) filter (where minute <= at - make_interval(mins => $2) / 2), 0)::float8 as before,
      coalesce(sum(uses) filter (where minute > at - make_interval(mins => $2) / 2), 0)::float8 as now
    ${within} group by icon) halves
  order by abs(ln((now + 1) / (before + 1))) desc, icon limit $3`

const liveSql = `select session_id as "sessionId", user_id as "userId", documents::float8 as documents, uses::float8 as uses, icons
  from icons.live_usage order by uses desc, started_at, session_id limit $1`

/** Twice as much, or half of it, is a trend. */
const steep = 2

/** Reads only, with whatever runs statements in the service's database. */
export function createAnalyticsService(sql: ServiceSql): AnalyticsService {
  const read = async <T>(text: string, { at, minutes = 60, limit = 20 }: AnalyticsOptions = {}) =>
    (await sql.query(text, [at ?? null, minutes, limit])).rows as unknown as readonly T[]
  const popular = (options?: AnalyticsOptions) => read<PopularIcon>(popularSql, options)

  return {
    popular,
    async liveUsage({ limit = 20 } = {}) {
      const { rows } = await sql.query(
        'select count(*)::float8 as sessions, count(distinct user_id)::float8 as users from icons.live_usage',
      )
      const busiest = (await sql.query(liveSql, [limit])).rows as unknown as LiveUsage['busiest']
      return { ...(rows[0] as unknown as Pick<LiveUsage, 'sessions' | 'users'>), busiest }
    },
    byHour: (options) => read(byHourSql, { limit: 1_000, ...options }),
    behaviour: (options) => read(behaviourSql, options),
    async trends(options) {
      const found = await read<Omit<Trend, 'direction'>>(trendsSql, options)
      return found.map((one) => ({ ...one, direction: directionOf(one.factor) }))
    },
    async cacheAdvice({ capacity, cached = [], ...options }) {
      return adviseCache(await popular({ ...options, limit: 10_000 }), capacity, cached)
    },
  }
}

const directionOf = (factor: number): Trend['direction'] =>
  factor >= steep ? 'rising' : factor <= 1 / steep ? 'falling' : 'steady'

function adviseCache(ranked: readonly PopularIcon[], capacity: number, cached: readonly string[]): CacheAdvice {
  const keep = ranked.slice(0, Math.max(0, capacity))
  const kept = new Set(keep.map(({ icon }) => icon))
  const sum = (icons: readonly PopularIcon[]) => icons.reduce((total, { score }) => total + score, 0)
  return {
    keep: [...kept],
    warm: [...kept].filter((icon) => !cached.includes(icon)),
    evict: cached.filter((icon) => !kept.has(icon)),
    hitRatio: ranked.length === 0 ? 0 : sum(keep) / sum(ranked),
  }
}
