import { EvtError } from '../core/errors.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import { boundLease } from './lease.ts'

export interface WatchTask {
  readonly task: string
  /** Unique among running processes. */
  readonly holder: string
  readonly leaseMs: number
}

/** Where it stands: a place in the log, and what the task has written down. */
export interface WatchState {
  readonly position: bigint
  /** Undefined when it is saved: what was written down before stays. */
  readonly memory: unknown
}

/** Takes the lease or renews it, and says the server's time and the end of the log; undefined while somebody else has it. A task that is new begins at the end of the log. */
export async function holdTask(
  sql: SqlExecutor,
  { task, holder, leaseMs }: WatchTask,
): Promise<(WatchState & { readonly nowMs: number; readonly head: bigint }) | undefined> {
  const { rows } = await sql.query(
    `insert into evt.watch_tasks as known (task, holder, lease_until, position)
     values ($1, $2, clock_timestamp() + $3 * interval '1 ms', coalesce(evt.head(), 0))
     on conflict (task) do update set holder = excluded.holder, lease_until = excluded.lease_until
     where known.holder is null or known.holder = excluded.holder or known.lease_until < clock_timestamp()
     returning position::text as position, memory, (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms,
       coalesce(evt.head(), 0)::text as head`,
    [task, holder, leaseMs],
  )
  const row = rows[0] as { position: string; memory: unknown; now_ms: number; head: string } | undefined
  if (!row) await boundLease(sql, { table: 'evt.watch_tasks', only: ['task', task] }, leaseMs)
  return row && { position: BigInt(row.position), memory: row.memory, nowMs: row.now_ms, head: BigInt(row.head) }
}

/** In the transaction of what it came to. Throws `fenced` when somebody else holds it by now: then nothing of it counts. */
export async function saveTask(sql: SqlExecutor, { task, holder }: WatchTask, state: WatchState): Promise<void> {
  const { rows } = await sql.query(
    'update evt.watch_tasks set position = $3, memory = coalesce($4, memory) where task = $1 and holder = $2 returning task',
    [task, holder, String(state.position), state.memory === undefined ? null : JSON.stringify(state.memory)],
  )
  if (rows.length > 0) return
  throw new EvtError('fenced', `cannot go on with ${task}: another bridge does it`)
}

export async function leaveTask(sql: SqlExecutor, { task, holder }: WatchTask): Promise<void> {
  await sql.query('update evt.watch_tasks set holder = null, lease_until = null where task = $1 and holder = $2', [
    ...[task, holder],
  ])
}
