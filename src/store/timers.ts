import type { SqlExecutor } from '../transports/transport.ts'

/** Takes away at most `limit` timers that are due and publishes an event for each: how many, and in how many ms the next is due. */
export async function fireTimers(
  sql: SqlExecutor,
  limit: number,
): Promise<{ readonly fired: number; readonly nextMs: number | undefined }> {
  const { rows } = await sql.query('select fired, next_ms from evt.fire_timers($1)', [limit])
  const [row] = rows as unknown as readonly { readonly fired: number; readonly next_ms: number | null }[]
  return { fired: row?.fired ?? 0, nextMs: row?.next_ms ?? undefined }
}

const mostAtOnce = 1_000

/**
 * Removes sagas that ended before `keepDays`, all but the keys that may not begin again, and early events whose saga never began. Safe to run
 * anywhere, at any time.
 */
export async function forgetSagas(sql: SqlExecutor, keepDays: number): Promise<{ readonly early: number }> {
  await sql.query(
    `with old as (
       select id, saga, key, ended_at, plan from evt.sagas
       where ended_at < clock_timestamp() - make_interval(days => $1) order by ended_at limit $2
     ), keys as (
       insert into evt.saga_keys (saga, key_hash, ended_at)
       select distinct on (saga, key) saga, sha256(convert_to(key, 'UTF8')), ended_at from old where plan->>'once' = 'true'
       on conflict do nothing
     ), history as (
       delete from evt.saga_history h using old where h.saga_id = old.id
     ), timers as (
       delete from evt.timers t using old where t.saga_id = old.id
     )
     delete from evt.sagas s using old where s.id = old.id`,
    [keepDays, mostAtOnce],
  )
  const { rows } = await sql.query(
    `with gone as (
       delete from evt.saga_events e using (
         select saga, key, event_id from evt.saga_events where keep_until < clock_timestamp() limit $1 for update skip locked) old
       where e.saga = old.saga and e.key = old.key and e.event_id = old.event_id returning 1)
     select count(*)::int as early from gone`,
    [mostAtOnce],
  )
  return { early: Number(rows[0]?.early ?? 0) }
}
