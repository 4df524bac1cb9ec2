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

// They lie among the tasks of the watch: `profile/ID` is asked for, `profile/ID/INSTANCE` is an answer. All are gone when they are read, or by
// the next one that is asked for after their time.
const taskOf = (id: string, instance?: string) => `profile/${id}${instance === undefined ? '' : `/${instance}`}`
const beyondMs = 120_000

export async function requestProfile(store: Store, request: ProfileRequest, audit: Audit): Promise<void> {
  const { id, handler, forMs } = request
  await store.transaction(async (sql) => {
    await sql.query(`delete from evt.watch_tasks where task like 'profile/%' and lease_until < clock_timestamp()`)
    await sql.query(
      `insert into evt.watch_tasks (task, holder, lease_until, position, memory)
       values ($1, 'asked for', clock_timestamp() + $2 * interval '1 ms', 0, $3)`,
      [taskOf(id), forMs + beyondMs, JSON.stringify({ handler, forMs })],
    )
    await audit(sql, 1)
  })
}

/** What is asked for and was not answered by this bridge. */
export async function readProfileRequests(sql: SqlExecutor, instance: string): Promise<readonly ProfileRequest[]> {
  const { rows } = await sql.query(
    `select split_part(task, '/', 2) as id, memory from evt.watch_tasks asked
     where task like 'profile/%' and holder = 'asked for' and lease_until > clock_timestamp()
       and not exists (select from evt.watch_tasks answer where answer.task = asked.task || '/' || $1) order by task limit 10`,
    [instance],
  )
  return rows.map(({ id, memory }) => ({ id: String(id), ...(memory as Pick<ProfileRequest, 'handler' | 'forMs'>) }))
}

export async function answerProfile(sql: SqlExecutor, { id }: ProfileRequest, answer: ProfileAnswer): Promise<void> {
  await sql.query(
    `insert into evt.watch_tasks (task, holder, lease_until, position, memory)
     select task || '/' || $2, $2, lease_until, 0, $3 from evt.watch_tasks where task = $1 on conflict (task) do nothing`,
    [taskOf(id), answer.instance, JSON.stringify(answer)],
  )
}

/** Instances whose answer is there. */
export async function readProfileAnswerers(sql: SqlExecutor, id: string): Promise<readonly string[]> {
  const { rows } = await sql.query('select holder from evt.watch_tasks where task like $1', [taskOf(id, '%')])
  return rows.map(({ holder }) => String(holder))
}

/** Takes the request back, with the answers that are there. */
export async function takeProfiles(sql: SqlExecutor, id: string): Promise<readonly ProfileAnswer[]> {
  const { rows } = await sql.query(
    'with gone as (delete from evt.watch_tasks where task = $1 or task like $2 returning task, memory) select * from gone order by task',
    [taskOf(id), taskOf(id, '%')],
  )
  return rows.filter(({ task }) => task !== taskOf(id)).map(({ memory }) => memory as ProfileAnswer)
}
