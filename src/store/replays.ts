import type { SqlExecutor } from '../transports/transport.ts'
import type { Audit } from './audit.ts'
import type { Store } from './connection.ts'
import { boundLease } from './lease.ts'

export type ReplayStatus = 'running' | 'paused' | 'stopped' | 'done'

/** What of the history; texts as they were given, so that it reads the same when it goes on. */
export interface ReplaySelection {
  /** Type patterns; none is all. */
  readonly types: readonly string[]
  readonly subject?: string
  readonly correlation?: string
  readonly where?: string
  /** When it was written, ms since the epoch; both included. */
  readonly sinceMs?: number
  readonly untilMs?: number
  /** What `now` in `where` is. */
  readonly nowMs: number
  readonly ratePerSecond?: number
}

export interface NewReplay {
  readonly id: string
  readonly kind: 'handlers' | 'target'
  readonly handlers: readonly string[]
  readonly target?: string | undefined
  readonly selection: ReplaySelection
  /** Positions after `after` up to `upto`. */
  readonly after: bigint
  readonly upto: bigint
  readonly matched: number
  readonly by: string
  readonly reason?: string | undefined
}

export interface Replay extends NewReplay {
  readonly position: bigint
  /** Events that were handled, or confirmed by the target. While handlers have not ended: those that no inbox counts. */
  readonly done: number
  readonly status: ReplayStatus
  /** Who runs it now. */
  readonly owner: string | undefined
  readonly startedAt: string
  readonly endedAt: string | undefined
}

/** One run of it, by one process. */
export interface ReplayLease {
  readonly id: string
  readonly epoch: bigint
}

/** A replay's handlers go by names of their own: their groups, their inbox, their retries touch nobody else's. */
export const replayHandlerName = (handler: string, id: string): string => `${handler}${ofReplay}${id}`

/** The replay that a handler's name says it belongs to, where it does. */
export function replayOfHandler(name: string): string | undefined {
  const at = name.lastIndexOf(ofReplay)
  return at < 0 ? undefined : name.slice(at + ofReplay.length)
}

const ofReplay = '.replay-'
export const isReplayHandler = (name: string): boolean => name.includes('.replay-')

/** Without a beat for so long, another process may go on with it. */
const leaseMs = 15_000
const lanes = 16

const columns = `id, kind, handlers, target, selection, after::text, upto::text, matched::text, position::text, done::text, status,
  case when lease_until > clock_timestamp() then owner end as owner, started_by, reason, started_at, ended_at`

/** From its commit on, retention keeps what it needs. */
export async function createReplay(store: Store, replay: NewReplay, audit?: Audit): Promise<void> {
  await store.transaction(async (sql) => {
    // Whoever drops a partition looks at who needs it under this lock.
    await sql.query(`select pg_advisory_xact_lock(hashtextextended('evt.partitions', 0))`)
    await sql.query(
      `insert into evt.replays (id, kind, handlers, target, selection, after, upto, matched, position, status, started_by, reason)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $6, 'paused', $9, $10)`,
      [
        replay.id,
        replay.kind,
        replay.handlers,
        replay.target ?? null,
        JSON.stringify(replay.selection),
        String(replay.after),
        String(replay.upto),
        replay.matched,
        replay.by,
        replay.reason ?? null,
      ],
    )
    for (const handler of replay.handlers)
      await sql.query('select evt.ensure_group($1, $2, $3)', [
        replayHandlerName(handler, replay.id),
        lanes,
        String(replay.after),
      ])
    await audit?.(sql, Math.max(1, replay.matched), { replayId: replay.id })
  })
}

/** The newest first. */
export async function listReplays(sql: SqlExecutor, limit: number): Promise<readonly Replay[]> {
  const { rows } = await sql.query(`select ${columns} from evt.replays order by started_at desc limit $1`, [limit])
  return rows.map(replayOf)
}

export async function findReplay(sql: SqlExecutor, id: string): Promise<Replay | undefined> {
  const { rows } = await sql.query(`select ${columns} from evt.replays where id = $1`, [id])
  return rows[0] && replayOf(rows[0])
}

/** Undefined while another process runs it, and when it has ended. */
export async function takeReplay(sql: SqlExecutor, id: string, owner: string): Promise<ReplayLease | undefined> {
  const { rows } = await sql.query(
    `update evt.replays set status = 'running', owner = $2, epoch = epoch + 1, moved_at = clock_timestamp(),
       lease_until = clock_timestamp() + $3 * interval '1 ms'
     where id = $1 and status in ('running', 'paused') and (owner is null or lease_until < clock_timestamp())
     returning epoch::text`,
    [id, owner, leaseMs],
  )
  if (rows.length === 0) await boundLease(sql, { table: 'evt.replays', only: ['id', id] }, leaseMs)
  return rows[0] && { id, epoch: BigInt(String(rows[0].epoch)) }
}

/** Says that it goes on, and how far; what it is told to be. Undefined when another process has taken it over. */
export async function beatReplay(
  sql: SqlExecutor,
  { id, epoch }: ReplayLease,
  progress: { readonly done: number; readonly position?: bigint },
): Promise<ReplayStatus | undefined> {
  const { rows } = await sql.query(
    `update evt.replays set lease_until = clock_timestamp() + $5 * interval '1 ms', moved_at = clock_timestamp(),
       done = greatest(done, $3), position = greatest(position, $4)
     where id = $1 and epoch = $2 returning status`,
    [id, String(epoch), progress.done, String(progress.position ?? 0n), leaseMs],
  )
  return rows[0]?.status as ReplayStatus | undefined
}

/** Whoever runs it sees that at its next beat. False when it has ended already, or is not there. */
export async function tellReplay(
  sql: SqlExecutor,
  id: string,
  status: 'paused' | 'stopped',
  audit?: Audit,
): Promise<boolean> {
  const { rows } = await sql.query(
    `update evt.replays set status = $2, ended_at = case when $2 = 'stopped' then clock_timestamp() end
     where id = $1 and status in ('running', 'paused') returning id`,
    [id, status],
  )
  if (rows.length > 0) await audit?.(sql, 1)
  return rows.length > 0
}

/** Gives the lease back; it goes on with the next one that takes it. */
export async function leaveReplay(sql: SqlExecutor, { id, epoch }: ReplayLease): Promise<void> {
  await sql.query(
    `update evt.replays set owner = null, lease_until = null,
       status = case when status = 'running' then 'paused' else status end where id = $1 and epoch = $2`,
    [id, String(epoch)],
  )
}

/**
 * To be called before dead letters go to these handlers again, in the same transaction: those of a replay that is over are nobody's to
 * handle but its own. It waits, behind the log's head, for who goes on with it, and ends anew.
 */
export async function reopenReplays(sql: SqlExecutor, handlers: readonly string[]): Promise<void> {
  const ids = [...new Set(handlers.flatMap((name) => replayOfHandler(name) ?? []))]
  if (ids.length === 0) return
  // Locked also while it runs: it must not end between here and the commit.
  const { rows } = await sql.query(`select ${columns} from evt.replays where id = any($1) order by id for update`, [
    ids,
  ])
  for (const replay of rows.map(replayOf).filter(({ endedAt }) => endedAt !== undefined)) {
    for (const handler of replay.handlers)
      await sql.query('select evt.ensure_group($1, $2, greatest(evt.head(), $3))', [
        replayHandlerName(handler, replay.id),
        lanes,
        String(replay.upto),
      ])
    await sql.query(`update evt.replays set status = 'paused', ended_at = null where id = $1`, [replay.id])
  }
}

export interface HandlerProgress {
  readonly handler: string
  /** As the inbox has it. */
  readonly handled: number
  readonly dead: number
  /** To be tried again at some time, or no more held up. */
  readonly retrying: number
  /** For a contract, or behind a dead letter: somebody has to do something first. */
  readonly waiting: number
  /** Every event up to here was handled, is dead or waits. */
  readonly position: bigint
}

/** Of each handler; `counted`: how many it handled too, which takes as long as there are. */
export async function replayProgress(
  sql: SqlExecutor,
  { id, handlers }: Pick<Replay, 'id' | 'handlers'>,
  { counted }: { readonly counted: boolean },
): Promise<readonly HandlerProgress[]> {
  const { rows } = await sql.query(
    `select h.handler, (select min(position) from evt.lanes where group_name = h.own)::text as position,
       (select count(*) from evt.inbox i where $3 and i.handler = h.own)::text as handled,
       (select count(*) from evt.dead_letters d where d.handler = h.own and d.status = 'open')::text as dead,
       d.retrying::text, d.waiting::text
     from unnest($1::text[], $2::text[]) h (handler, own)
     cross join lateral (
       select count(*) filter (where moves) as retrying, count(*) filter (where not moves) as waiting
       from (select d.next_at is not null or d.started_at is not null or p.freed_at is not null as moves
         from evt.deliveries d left join evt.parked_subjects p on p.handler = d.handler and p.subject = d.subject
         where d.handler = h.own) d) d`,
    [handlers, handlers.map((name) => replayHandlerName(name, id)), counted],
  )
  return rows.map((row) => ({
    handler: String(row.handler),
    handled: Number(row.handled),
    dead: Number(row.dead),
    retrying: Number(row.retrying),
    waiting: Number(row.waiting),
    position: BigInt(String(row.position ?? 0)),
  }))
}

/** It is over: its groups, its retries and its inbox go; dead letters stay, and what waited to be handled again is one. */
export async function endReplay(
  store: Store,
  { id, handlers }: Pick<Replay, 'id' | 'handlers'>,
  { status, done }: { readonly status: 'done' | 'stopped'; readonly done: number },
): Promise<void> {
  const names = handlers.map((name) => replayHandlerName(name, id))
  await store.transaction(async (sql) => {
    await sql.query(
      `update evt.replays set status = $2, done = $3, owner = null, lease_until = null, position = case when $2 = 'done' then upto else position end,
         ended_at = coalesce(ended_at, clock_timestamp()) where id = $1`,
      [id, status, done],
    )
    await sql.query(
      `with gone as (delete from evt.deliveries where handler = any ($1) returning dead_letter)
       update evt.dead_letters set status = 'open' where status = 'replaying' and id in (select dead_letter from gone)`,
      [names],
    )
    for (const table of ['parked_subjects', 'suspects', 'inbox', 'breakers'])
      await sql.query(`delete from evt.${table} where handler = any ($1)`, [names])
    await sql.query('delete from evt.groups where name = any ($1)', [names])
  })
}

function replayOf(row: Record<string, unknown>): Replay {
  const at = (value: unknown) => (value instanceof Date ? value.toISOString() : undefined)
  return {
    id: String(row.id),
    kind: row.kind as Replay['kind'],
    handlers: row.handlers as readonly string[],
    target: (row.target as string | null) ?? undefined,
    selection: row.selection as ReplaySelection,
    after: BigInt(String(row.after)),
    upto: BigInt(String(row.upto)),
    matched: Number(row.matched),
    position: BigInt(String(row.position)),
    done: Number(row.done),
    status: row.status as ReplayStatus,
    owner: (row.owner as string | null) ?? undefined,
    by: String(row.started_by),
    reason: (row.reason as string | null) ?? undefined,
    startedAt: at(row.started_at) ?? '',
    endedAt: at(row.ended_at),
  }
}
