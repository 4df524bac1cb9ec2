import type { SqlExecutor } from '../transports/transport.ts'

/** Why a breaker opened. */
export interface Trip {
  readonly handler: string
  readonly instance: string
  /** Distinct subjects. */
  readonly failing: number
  readonly seen: number
  readonly error: string
  readonly probeInMs: number
}

/** One that is open already keeps its time and its reason. */
export async function openBreaker(sql: SqlExecutor, trip: Trip): Promise<void> {
  await sql.query(
    `insert into evt.breakers as known (handler, state, changed_by, failing, seen, error, probe_at)
     values ($1, 'open', $2, $3, $4, $5, clock_timestamp() + $6::double precision * interval '1 millisecond')
     on conflict (handler) do update set state = 'open', changed_at = clock_timestamp(), changed_by = excluded.changed_by,
       failing = excluded.failing, seen = excluded.seen, error = excluded.error, trips = known.trips + 1,
       probe_at = excluded.probe_at, probing_by = null, probing_until = null
     where known.state = 'closed'`,
    [trip.handler, trip.instance, trip.failing, trip.seen, trip.error, trip.probeInMs],
  )
}

/** True for one process at a time, and when the time for a probe has come. It ends by `endProbe`, with its bridge, or after `withinMs`. */
export async function claimProbe(
  sql: SqlExecutor,
  { handler, instance, withinMs }: { readonly handler: string; readonly instance: string; readonly withinMs: number },
): Promise<boolean> {
  const { rows } = await sql.query(
    `update evt.breakers set probing_by = $2, probing_until = clock_timestamp() + $3::double precision * interval '1 millisecond'
     where handler = $1 and state = 'open' and probe_at <= clock_timestamp()
       and (probing_until is null or probing_until < clock_timestamp() or exists (
         select from evt.instances i where i.instance = probing_by
           and (i.stopped_at is not null or i.beat_at < clock_timestamp() - interval '3 s')))
     returning handler`,
    [handler, instance, withinMs],
  )
  return rows.length > 0
}

/** `closes` when the handler works again. */
export async function endProbe(
  sql: SqlExecutor,
  end: { readonly handler: string; readonly instance: string; readonly closes: boolean; readonly againInMs: number },
): Promise<void> {
  await sql.query(
    `update evt.breakers set state = case when $3 then 'closed' else state end,
       changed_at = case when $3 then clock_timestamp() else changed_at end,
       changed_by = case when $3 then $2 else changed_by end, probing_by = null, probing_until = null,
       probe_at = clock_timestamp() + $4::double precision * interval '1 millisecond'
     where handler = $1 and probing_by = $2 and state = 'open'`,
    [end.handler, end.instance, end.closes, end.againInMs],
  )
}

/** Handlers that do not run, whatever process they are in. */
export interface Stopped {
  /** By an operator. */
  readonly paused: ReadonlySet<string>
  /** By their breaker. */
  readonly broken: ReadonlySet<string>
}

export async function readStopped(sql: SqlExecutor): Promise<Stopped> {
  const { rows } = await sql.query(
    `select handler, true as paused from evt.handler_switches where paused
     union all select handler, false from evt.breakers where state = 'open' order by 1, 2`,
  )
  const named = (paused: boolean) =>
    new Set(rows.filter((row) => row.paused === paused).map((row) => String(row.handler)))
  return { paused: named(true), broken: named(false) }
}
