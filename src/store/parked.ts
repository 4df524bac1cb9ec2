import type { SqlExecutor } from '../transports/transport.ts'

/** A subject of a handler, and the lane whose owner runs it. */
export interface SubjectPlace {
  readonly handler: string
  readonly lane: string
  readonly subject: string
}

/** What became of a subject when its head was done. */
export type Advanced = 'waiting' | 'held' | 'blocked' | 'flowing'

/** Later events of the subject wait. Locks the subject until the transaction ends; parking twice is harmless. */
export async function parkSubject(
  sql: SqlExecutor,
  place: SubjectPlace,
  blockedBy: string | null = null,
): Promise<void> {
  await sql.query(
    `insert into evt.parked_subjects (handler, subject, lane, blocked_by) values ($1, $2, $3, $4)
     on conflict (handler, subject) do update set lane = excluded.lane, blocked_by = coalesce(excluded.blocked_by, parked_subjects.blocked_by)`,
    [place.handler, place.subject, place.lane, blockedBy],
  )
}

/** For events that go behind: their subject is parked already; were it not, its owner is told to look at the queue. */
export async function keepParked(sql: SqlExecutor, place: SubjectPlace): Promise<void> {
  await sql.query(
    `insert into evt.parked_subjects (handler, subject, lane, freed_at) values ($1, $2, $3, clock_timestamp())
     on conflict (handler, subject) do nothing`,
    [place.handler, place.subject, place.lane],
  )
}

/** Wakes what waits next, or un-parks the subject when nothing does. For the lane's owner only. */
export async function advanceSubject(sql: SqlExecutor, handler: string, subject: string): Promise<Advanced> {
  const { rows } = await sql.query('select evt.advance_subject($1, $2) as advanced', [handler, subject])
  return (rows[0]?.advanced ?? 'flowing') as Advanced
}

/** The subjects that wait in one lane; read by its new owner before it takes anything. */
export async function readParked(sql: SqlExecutor, handler: string, lane: string): Promise<Set<string>> {
  const { rows } = await sql.query('select subject from evt.parked_subjects where handler = $1 and lane = $2', [
    handler,
    lane,
  ])
  return new Set(rows.map((row) => String(row.subject)))
}

/**
 * Events of one lane that became dead letters a short while ago. Where a lane settles after the commit, a crash in between brings them
 * again; they must not run behind those that have overtaken them since.
 */
export async function readBuried(sql: SqlExecutor, handler: string, lane: string): Promise<Set<string>> {
  const { rows } = await sql.query(
    `select event_id from evt.dead_letters
     where handler = $1 and lane = $2 and last_failed_at > clock_timestamp() - interval '10 minutes'`,
    [handler, lane],
  )
  return new Set(rows.map((row) => String(row.event_id)))
}
