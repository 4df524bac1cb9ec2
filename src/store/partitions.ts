import { EvtError } from '../core/errors.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import { type Archived, archivePartition } from './archive.ts'
import type { Audit } from './audit.ts'
import type { Store } from './connection.ts'
import { neededBy, type Retained, type RetentionTask, retentionTasks } from './retention.ts'

export interface MaintenanceOptions {
  /** Stands for the server's clock. */
  readonly now?: Date
  /** Instead of what `evt.classes` says, by class. */
  readonly retentionDays?: Readonly<Record<string, number>>
  /** Partitions are there for so many days to come; default 14. */
  readonly daysAhead?: number
  /** How long one step may hold others up while it waits for its lock; default 100. */
  readonly lockTimeoutMs?: number
  /** A directory: what is dropped is written there before. When that fails, nothing is dropped. */
  readonly archive?: string | undefined
  /** Called in the transaction of each drop. */
  readonly audit?: Audit
}

export interface Maintenance {
  /** Partitions of the outbox made ahead. */
  readonly made: number
  /** Partitions of outbox and log that are gone now. */
  readonly dropped: readonly string[]
  readonly archived: readonly Archived[]
  /** Past their age and still here, and why: to be tried again. */
  readonly retained: readonly Retained[]
  /** Why nothing more was archived and dropped. */
  readonly problem: EvtError | undefined
}

/** Making waits for nobody but others who make or drop, and holds up no writer. */
const makingMs = 10_000

/**
 * Makes partitions ahead and drops those past their age in which nothing is unsequenced and nothing still needed. Each
 * step is a transaction of its own with a short lock timeout: a writer that stays open delays the dropping, never the
 * other writers. Safe to run by several processes.
 */
export async function maintainPartitions(store: Store, options: MaintenanceOptions = {}): Promise<Maintenance> {
  const today = await readToday(store, options.now)
  const made = await withLockTimeout(store, makingMs, async (sql) => {
    const { rows } = await sql.query('select evt.make_partitions($1::date - 1, $1::date + $2::int) as made', [
      today,
      options.daysAhead ?? 14,
    ])
    return (rows[0] as { made: number }).made
  })
  const done = await dropAll(store, await retentionTasks(store, today, options.retentionDays ?? {}), options)
  await trim(store)
  return { made, ...done }
}

async function dropAll(
  store: Store,
  tasks: readonly RetentionTask[],
  { archive, audit, lockTimeoutMs = 100 }: MaintenanceOptions,
): Promise<Omit<Maintenance, 'made'>> {
  const dropped: string[] = []
  const archived: Archived[] = []
  const retained: Retained[] = []
  let problem: EvtError | undefined
  for (const { table, archivable, needs, drop } of tasks) {
    let reason = neededBy(await needs(store))
    if (archive && archivable && !reason && !problem) {
      const written = await archivePartition(store, { ...archivable, directory: archive }).catch(asProblem)
      if (written instanceof EvtError) problem = written
      else if (typeof written === 'string') reason = written
      else if (written) archived.push(written)
    }
    reason ??= problem && `it is not archived: ${problem.message}`
    reason ??= await attempt(store, lockTimeoutMs, async (sql) => {
      const refused = await drop(sql, archive && archivable ? 'archived' : 'as-it-is')
      if (refused === undefined) await audit?.(sql, 1)
      return refused
    })
    if (reason === undefined) dropped.push(table)
    else retained.push({ table, reason })
  }
  return { dropped, archived, retained, problem }
}

function asProblem(error: unknown): EvtError {
  if (error instanceof EvtError) return error
  throw error
}

async function attempt(
  store: Store,
  lockTimeoutMs: number,
  drop: (sql: SqlExecutor) => Promise<string | undefined>,
): Promise<string | undefined> {
  try {
    return await withLockTimeout(store, lockTimeoutMs, drop)
  } catch (error) {
    if (error instanceof EvtError && error.code === 'timeout') return 'somebody writes to it or reads it'
    throw error
  }
}

/** What a drop refused (by a reason) changes nothing, because it looks before it acts. */
function withLockTimeout<T>(store: Store, lockTimeoutMs: number, work: (sql: SqlExecutor) => Promise<T>): Promise<T> {
  return store.transaction(async (sql) => {
    await sql.query(`select set_config('lock_timeout', $1, true)`, [`${lockTimeoutMs}ms`])
    return work(sql)
  })
}

async function readToday(sql: SqlExecutor, now: Date | undefined): Promise<string> {
  if (now) return now.toISOString().slice(0, 10)
  const { rows } = await sql.query('select evt.today()::text as today')
  return (rows[0] as { today: string }).today
}

/** Old steps of the cursor, and keys whose events are gone. */
async function trim(sql: SqlExecutor): Promise<void> {
  await sql.query('delete from evt.ticks where tick < (select max(tick) - 10000 from evt.ticks)')
  // Every minute on a table of any size: the first look is at one entry of the index, and mostly the only one.
  await sql.query(
    `with oldest as materialized (
       select min(to_date(right(relname, 8), 'YYYYMMDD')) as day from pg_class
       where relnamespace = 'evt'::regnamespace and relname ~ '^outbox_[a-z0-9]+_[0-9]{8}$' and relkind = 'r')
     delete from evt.event_keys where (select min(day) from evt.event_keys) < (select day from oldest)
       and day < (select day from oldest)`,
  )
}
