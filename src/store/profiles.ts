import type { SqlExecutor } from '../transports/transport.ts'
import type { Audit } from './audit.ts'
import type { Store } from './connection.ts'

/** That bridges are asked for: what their processor does while a handler runs. */
export interface ProfileRequest {
  readonly id: string
  readonly handler: string
  readonly forMs: number
}

/** What one bridge answers; `profile` is JSON, as V8 gives it. */
export interface ProfileAnswer {
  readonly instance: string
  readonly host: string
  readonly pid: number
  /** Events of the handler in that time. */
  readonly handled: number
  /** Where the handler's function stands. */
  readonly place: { readonly scriptId: string; readonly line: number; readonly column: number } | null
  readonly profile: string | null
  readonly error?: string
}

/** After the profile itself: for bridges to notice, and to write what they have. */
const beyondMs = 120_000

/** Bridges that beat know within a second. Requests whose time is over go. */
export async function requestProfile(store: Store, request: ProfileRequest, audit: Audit): Promise<void> {
  const { id, handler, forMs } = request
  await store.transaction(async (sql) => {
    await sql.query('delete from evt.profile_requests where until < clock_timestamp()')
    await sql.query(
      `insert into evt.profile_requests (id, handler, for_ms, until)
       values ($1, $2, $3::int, clock_timestamp() + ($3::int + $4::int) * interval '1 ms')`,
      [id, handler, forMs, beyondMs],
    )
    await audit(sql, 1)
  })
}

/** What is asked for and was not answered by this bridge. */
export async function readProfileRequests(sql: SqlExecutor, instance: string): Promise<readonly ProfileRequest[]> {
  const { rows } = await sql.query(
    `select id, handler, for_ms from evt.profile_requests asked where until > clock_timestamp()
       and not exists (select from evt.profile_answers where request = asked.id and instance = $1) order by until limit 10`,
    [instance],
  )
  return rows.map((row) => ({ id: String(row.id), handler: String(row.handler), forMs: Number(row.for_ms) }))
}

/** Nothing when the request was taken back. */
export async function answerProfile(sql: SqlExecutor, { id }: ProfileRequest, answer: ProfileAnswer): Promise<void> {
  await sql.query(
    `insert into evt.profile_answers (request, instance, answer)
     select id, $2, $3 from evt.profile_requests where id = $1 for key share on conflict do nothing`,
    [id, answer.instance, JSON.stringify(answer)],
  )
}

/** Instances whose answer is there. */
export async function readProfileAnswerers(sql: SqlExecutor, id: string): Promise<readonly string[]> {
  const { rows } = await sql.query('select instance from evt.profile_answers where request = $1', [id])
  return rows.map(({ instance }) => String(instance))
}

/** Takes the request back, with the answers that are there. */
export async function takeProfiles(sql: SqlExecutor, id: string): Promise<readonly ProfileAnswer[]> {
  const { rows } = await sql.query(
    `with gone as (delete from evt.profile_requests where id = $1)
     select answer from evt.profile_answers where request = $1 order by instance`,
    [id],
  )
  return rows.map(({ answer }) => answer as ProfileAnswer)
}
