import { withheldName } from '../core/codec/headers.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import type { Audit } from './audit.ts'
import type { Store } from './connection.ts'
import { type DeadLetterSelection, selectionSql } from './dead-letters.ts'
import { reopenReplays } from './replays.ts'
import { retryTransaction } from './retry-transaction.ts'

/** Not what no handler ever had, and not what was given up without its data. */
const replayable = `reason <> 'unreadable' and headers->>'${withheldName}' is null`

export interface ReplayPlanEntry {
  readonly id: string
  readonly handler: string
  readonly eventId: string
  readonly type: string
  readonly subject: string | undefined
  readonly cause: string
  readonly replayCount: number
  /** SHA-256 of the stored bytes, hex. */
  readonly bodyHash: string
}

/** What a replay of this selection would touch, oldest first, of what can be replayed. Changes nothing. */
export async function planReplay(sql: SqlExecutor, selection: DeadLetterSelection): Promise<ReplayPlanEntry[]> {
  const { where, values } = selectionSql({ ...selection, status: 'open' })
  const { rows } = await sql.query(
    `select d.id, d.handler, d.event_id, d.type, d.subject, d.cause, d.replay_count, encode(sha256(d.body), 'hex') as body_hash
     from evt.dead_letters d where ${where} and ${replayable} order by coalesce(d.rank, d.position, d.id), d.id`,
    values,
  )
  return rows.map((row) => ({
    id: String(row.id),
    handler: String(row.handler),
    eventId: String(row.event_id),
    type: String(row.type),
    subject: row.subject === null ? undefined : String(row.subject),
    cause: String(row.cause),
    replayCount: Number(row.replay_count),
    bodyHash: String(row.body_hash),
  }))
}

export interface ReplayRequest {
  readonly ids: readonly string[]
  readonly replayId: string
  readonly by: string
  readonly reason?: string
  /** Dead letters that were replayed this often already are left out; default: no bound. */
  readonly maxReplays?: number
  /** Dead letters in one transaction; default 100. */
  readonly batch?: number
  /** Between two batches: nothing is half-done. */
  readonly signal?: AbortSignal
  readonly audit?: Audit
}

export interface ReplayStarted {
  readonly replayed: readonly string[]
  /** Not open any more, unknown, replayed too often, without a handler because it could not be read, or without its data. */
  readonly left: readonly string[]
}

/**
 * Hands dead letters to the handler that failed, and to no other, with attempts anew. The event keeps its id. What died in a replay
 * that is over waits there, and the replay is open again. One transaction a batch; doing the same twice at once is harmless: each dead letter goes to one of the two. Throws `timeout`
 * when other transactions are in the way again and again: the batches before are done.
 */
export async function replayDeadLetters(store: Store, request: ReplayRequest): Promise<ReplayStarted> {
  const replayed: string[] = []
  const size = request.batch ?? 100
  for (let at = 0; at < request.ids.length && !request.signal?.aborted; at += size) {
    const ids = request.ids.slice(at, at + size).filter((id) => /^\d{1,18}$/.test(id))
    replayed.push(...(await retryTransaction(store, 'replay dead letters', (sql) => replayBatch(sql, ids, request))))
  }
  const done = new Set(replayed)
  return { replayed, left: request.ids.filter((id) => !done.has(id)) }
}

const replay = `with chosen as materialized (
    select * from evt.dead_letters where id = any($1::bigint[]) and status = 'open' and replay_count < $2 and ${replayable}
    order by coalesce(rank, position, id), id for update skip locked
  ), marked as (
    update evt.dead_letters d set status = 'replaying', replay_count = d.replay_count + 1 from chosen c where d.id = c.id
  ), noted as (
    insert into evt.redrives (replay_id, dead_letter, by, reason) select $3, id, $4, $5 from chosen
    on conflict (replay_id, dead_letter) do update set outcome = 'pending', settled_at = null, at = clock_timestamp()
  ), parked as (
    insert into evt.parked_subjects (handler, subject, lane)
    select distinct handler, subject, lane from chosen where ordered and subject is not null
    on conflict (handler, subject) do update set
      blocked_by = case when parked_subjects.blocked_by = any($1::bigint[]) then null else parked_subjects.blocked_by end
  )
  insert into evt.deliveries (handler, lane, subject, event_id, type, topic, at, position, ordinal, next_at, dead_letter, replay_id, replay_count)
  select handler, lane, case when ordered then subject end, event_id, type, topic, at, position, coalesce(rank, position, 0),
    clock_timestamp(), id, $3, replay_count + 1
  from chosen order by coalesce(rank, position, id), id
  on conflict (handler, event_id) do update set dead_letter = excluded.dead_letter, replay_id = excluded.replay_id,
    replay_count = excluded.replay_count, next_at = excluded.next_at
  returning dead_letter`

async function replayBatch(sql: SqlExecutor, ids: readonly string[], request: ReplayRequest): Promise<string[]> {
  const most = request.maxReplays ?? 2_147_483_647
  const theirs = await sql.query('select distinct handler from evt.dead_letters where id = any($1::bigint[])', [ids])
  await reopenReplays(
    sql,
    theirs.rows.map(({ handler }) => String(handler)),
  )
  const { rows } = await sql.query(replay, [ids, most, request.replayId, request.by, request.reason ?? null])
  await request.audit?.(sql, rows.length)
  return rows.map((row) => String(row.dead_letter))
}

/** The dead letters stay where they are for good; subjects that waited for them go on. Returns how many. */
export async function discardDeadLetters(store: Store, ids: readonly string[], note: string): Promise<number> {
  return retryTransaction(store, 'discard dead letters', async (sql) => {
    const { rows } = await sql.query(
      `update evt.dead_letters set status = 'discarded', resolved_at = clock_timestamp(), note = $2
       where id = any($1::bigint[]) and status = 'open' returning id`,
      [ids, note],
    )
    const discarded = rows.map((row) => row.id)
    await sql.query(
      'update evt.parked_subjects set blocked_by = null, freed_at = clock_timestamp() where blocked_by = any($1::bigint[])',
      [discarded],
    )
    return rows.length
  })
}

export interface ReplayOutcome {
  readonly handled: number
  readonly deadAgain: readonly { readonly cause: string; readonly count: number }[]
  readonly pending: number
  /** The handler had done it before: nothing was run. */
  readonly skipped: number
}

/** What the handlers have done so far with a replay. */
export async function replayOutcome(sql: SqlExecutor, replayId: string): Promise<ReplayOutcome> {
  const { rows } = await sql.query(
    'select outcome, cause, count(*) as count from evt.redrives where replay_id = $1 group by outcome, cause order by count(*) desc',
    [replayId],
  )
  const total = (outcome: string) =>
    rows.filter((row) => row.outcome === outcome).reduce((sum, row) => sum + Number(row.count), 0)
  const deadAgain = rows
    .filter((row) => row.outcome === 'dead-again')
    .map((row) => ({ cause: String(row.cause), count: Number(row.count) }))
  return { handled: total('handled'), deadAgain, pending: total('pending'), skipped: total('skipped') }
}

/** Handlers that have not done all of a replay yet → how much is left of it. */
export async function pendingOfReplay(sql: SqlExecutor, replayId: string): Promise<ReadonlyMap<string, number>> {
  const { rows } = await sql.query(
    `select d.handler, count(*) as count from evt.redrives r join evt.dead_letters d on d.id = r.dead_letter
     where r.replay_id = $1 and r.outcome = 'pending' group by 1 order by 1`,
    [replayId],
  )
  return new Map(rows.map((row) => [String(row.handler), Number(row.count)]))
}

/** How a replayed delivery ended; in the transaction that ends it. A second death also wrote the dead letter itself. */
export async function settleRedrive(
  sql: SqlExecutor,
  redrive: { readonly deadLetter: string; readonly replayId: string },
  outcome: 'handled' | 'skipped' | 'dead-again',
  cause?: string,
): Promise<void> {
  await sql.query(
    'update evt.redrives set outcome = $3, cause = $4, settled_at = clock_timestamp() where replay_id = $1 and dead_letter = $2',
    [redrive.replayId, redrive.deadLetter, outcome, cause ?? null],
  )
  if (outcome === 'dead-again') return
  await sql.query(`update evt.dead_letters set status = 'replayed', resolved_at = clock_timestamp() where id = $1`, [
    redrive.deadLetter,
  ])
}
