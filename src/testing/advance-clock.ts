import { parseDuration } from '../core/duration.ts'
import type { SqlExecutor } from '../transports/transport.ts'

/** How much of each has come nearer. */
export interface ClockAdvance {
  /** Events that wait for their next attempt, in all handlers. */
  readonly retries: number
  /** Events that are held until their `deliverAt`. */
  readonly events: number
  /** Time-outs and retries of sagas. */
  readonly timers: number
}

const nearer = `with by_this as (select $1::double precision * interval '1 millisecond' as much),
  retries as (update evt.deliveries set next_at = next_at - much from by_this where next_at is not null returning 1),
  events as (update evt.scheduled set deliver_at = deliver_at - much from by_this returning 1),
  timers as (update evt.timers set due_at = due_at - much from by_this returning 1)
  select (select count(*)::int from retries) as retries, (select count(*)::int from events) as events,
    (select count(*)::int from timers) as timers`

/**
 * As if so much time had passed, for what waits in a store: `await advanceClock(pool, '1d')`. Retries, events with `deliverAt`, and time-outs and
 * retries of sagas come nearer by it; bridges notice within about a second. What has happened keeps its times; the server's clock, time-outs of
 * code that runs, breakers and retention are as before. For databases of tests: it needs the tables' owner. Throws `usage` for a time that is none.
 *
 * @param sql a `pg` pool or client, or a store
 */
export async function advanceClock(sql: SqlExecutor, by: string): Promise<ClockAdvance> {
  const { rows } = await sql.query(nearer, [parseDuration(by)])
  return rows[0] as unknown as ClockAdvance
}
