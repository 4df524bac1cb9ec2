import type { SqlExecutor } from '../transports/transport.ts'

/** An attempt that began; what came of it is not known when its process ended. */
export interface StartedAttempt {
  readonly attempt: number
  readonly at: string
  readonly instance: string
  /** Others ran in its process: any of them may have ended it. */
  readonly shared?: true
}

export interface SuspectEvent {
  readonly handler: string
  readonly eventId: string
}

/**
 * Counts an attempt on an event that earlier owners may have died of, before it runs, behind the `ended` ones that those may
 * have made. Never waits for the disk: the count has to outlive the process, not the server.
 */
export async function countSuspect(
  sql: SqlExecutor,
  { handler, eventId }: SuspectEvent,
  { instance, ended, shared }: { readonly instance: string; readonly ended: number; readonly shared: boolean },
): Promise<StartedAttempt> {
  const { rows } = await sql.query(
    `insert into evt.suspects as s (handler, event_id, attempts, started)
     values ($1, $2, $4::int + 1, jsonb_build_array(jsonb_build_object('attempt', $4::int + 1, 'at', clock_timestamp()) || $3::jsonb))
     on conflict (handler, event_id) do update set attempts = s.attempts + 1,
       started = s.started || (jsonb_build_object('attempt', s.attempts + 1, 'at', clock_timestamp()) || $3::jsonb)
     returning started->-1 as started`,
    [handler, eventId, JSON.stringify({ instance, ...(shared ? { shared } : {}) }), ended],
  )
  return rows[0]?.started as StartedAttempt
}

export async function readSuspect(
  sql: SqlExecutor,
  { handler, eventId }: SuspectEvent,
): Promise<readonly StartedAttempt[]> {
  const { rows } = await sql.query('select started from evt.suspects where handler = $1 and event_id = $2', [
    handler,
    eventId,
  ])
  return (rows[0]?.started ?? []) as readonly StartedAttempt[]
}

export async function forgetSuspect(sql: SqlExecutor, handler: string, eventId: string): Promise<void> {
  await sql.query('delete from evt.suspects where handler = $1 and event_id = $2', [handler, eventId])
}

const one = ({ attempt, instance }: StartedAttempt) => JSON.stringify({ attempt, instance })

/** Others are let in beside an attempt that goes on. */
export async function shareSuspect(
  sql: SqlExecutor,
  { handler, eventId }: SuspectEvent,
  mine: StartedAttempt,
): Promise<void> {
  await sql.query(
    `update evt.suspects set started =
       (select jsonb_agg(case when one @> $3::jsonb then one || '{"shared": true}' else one end order by n)
        from jsonb_array_elements(started) with ordinality as each (one, n))
     where handler = $1 and event_id = $2 and started @> jsonb_build_array($3::jsonb)`,
    [handler, eventId, one(mine)],
  )
}

/** An attempt in a process that lives: nothing has ended, so it does not count. */
export async function discountSuspect(
  sql: SqlExecutor,
  { handler, eventId }: SuspectEvent,
  mine: StartedAttempt,
): Promise<void> {
  await sql.query(
    `update evt.suspects set attempts = attempts - 1, started = coalesce(
       (select jsonb_agg(one order by n) from jsonb_array_elements(started) with ordinality as each (one, n)
        where not one @> $3::jsonb), '[]')
     where handler = $1 and event_id = $2 and started @> jsonb_build_array($3::jsonb)`,
    [handler, eventId, one(mine)],
  )
  await sql.query("delete from evt.suspects where handler = $1 and event_id = $2 and started = '[]'", [
    handler,
    eventId,
  ])
}
