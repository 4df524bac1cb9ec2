import type { SqlExecutor } from '../../transports/transport.ts'

/** Who keeps the server from tidying up: the oldest snapshot, prepared transaction or replication slot. */
export interface HorizonHolder {
  readonly kind: 'backend' | 'prepared' | 'slot'
  /** Its application, its name. */
  readonly who: string
  /** 0 where it is no process. */
  readonly pid: number
  /** Since its transaction began; 0 where nobody knows. */
  readonly ageSeconds: number
  readonly transactions: number
}

/** How the server and the queues of the store are doing. */
export interface Pressure {
  readonly horizon: HorizonHolder | undefined
  /** 0..1 */
  readonly notifyQueue: number
  readonly connections: readonly { readonly application: string; readonly count: number }[]
  readonly mostConnections: number
  /** Seconds; of stages where something waits. */
  readonly oldest: readonly { readonly stage: string; readonly seconds: number }[]
  readonly sinks: readonly { readonly sink: string; readonly lagEvents: number }[]
  /** Work that one bridge does for all: events of the log that it has still to look at. */
  readonly tasks: readonly { readonly task: string; readonly lagEvents: number }[]
  readonly sagas: readonly { readonly saga: string; readonly status: string; readonly count: number }[]
  /** Since the beginning. */
  readonly duplicates: number
  readonly refused: number
}

const horizonSql = `
  select * from (
    select 'backend' as kind, coalesce(nullif(application_name, ''), backend_type) as who, pid,
      coalesce(extract(epoch from clock_timestamp() - xact_start), 0)::float8 as seconds, age(backend_xmin) as transactions
    from pg_stat_activity where backend_xmin is not null and pid <> pg_backend_pid() and (datname = current_database() or datname is null)
    union all
    select 'prepared', gid, 0, extract(epoch from clock_timestamp() - prepared)::float8, age(transaction)
    from pg_prepared_xacts where database = current_database()
    union all
    select 'slot', slot_name, coalesce(active_pid, 0), 0, age(coalesce(xmin, catalog_xmin))
    from pg_replication_slots where coalesce(xmin, catalog_xmin) is not null
  ) holders order by transactions desc, seconds desc limit 1`

// One name a process would be a time series a process: what evt appends to its applications is left out.
const connectionsSql = `
  select coalesce(nullif(regexp_replace(application_name, '^(evt [a-z]+) .*$', '\\1'), ''), 'unnamed') as application,
    count(*)::int as count
  from pg_stat_activity where datname = current_database() group by 1 order by 2 desc limit 20`

const numbersSql = `
  select pg_notification_queue_usage() as notify, current_setting('max_connections')::int as most,
    (select json_build_array(duplicates, refused) from evt.ticks order by tick desc limit 1) as dropped,
    (select extract(epoch from clock_timestamp() - min(due))::float8 from (
      select min(next_at) as due from evt.deliveries where next_at is not null) d) as retry,
    (select extract(epoch from clock_timestamp() - min(parked_at))::float8 from evt.parked_subjects) as parked,
    (select extract(epoch from clock_timestamp() - min(due_at))::float8 from evt.timers where due_at <= clock_timestamp()) as timer`

const sinksSql = `select name as sink, greatest(0, coalesce(evt.head(), 0) - position)::float8 as lag from evt.sinks order by name`

const tasksSql = `select task, greatest(0, coalesce(evt.head(), 0) - position)::float8 as lag from evt.watch_tasks
  where task not like 'profile/%' order by task`

const sagasSql = `select saga, status, count(*)::int as count from evt.sagas where ended_at is null group by 1, 2
  order by status <> 'stuck', 1, 2 limit 200`

/** Reads only, catalogues and small tables; what other users' sessions do is shown as far as the role may see it. */
export async function readPressure(sql: SqlExecutor): Promise<Pressure> {
  const horizon = (await sql.query(horizonSql)).rows[0]
  const connections = (await sql.query(connectionsSql)).rows
  const numbers = (await sql.query(numbersSql)).rows[0] ?? {}
  const sinks = (await sql.query(sinksSql)).rows
  const tasks = (await sql.query(tasksSql)).rows
  const sagas = (await sql.query(sagasSql)).rows
  const [duplicates, refused] = (numbers.dropped as [number, number] | null) ?? [0, 0]
  return {
    horizon: horizon && {
      kind: horizon.kind as HorizonHolder['kind'],
      who: String(horizon.who),
      pid: Number(horizon.pid),
      ageSeconds: Number(horizon.seconds),
      transactions: Number(horizon.transactions),
    },
    notifyQueue: Number(numbers.notify),
    connections: connections.map(({ application, count }) => ({
      application: String(application),
      count: Number(count),
    })),
    mostConnections: Number(numbers.most),
    oldest: ['retry', 'parked', 'timer'].flatMap((stage) =>
      numbers[stage] == null ? [] : [{ stage, seconds: Math.max(0, Number(numbers[stage])) }],
    ),
    sinks: sinks.map(({ sink, lag }) => ({ sink: String(sink), lagEvents: Number(lag) })),
    tasks: tasks.map(({ task, lag }) => ({ task: String(task), lagEvents: Number(lag) })),
    sagas: sagas.map(({ saga, status, count }) => ({
      saga: String(saga),
      status: String(status),
      count: Number(count),
    })),
    duplicates: Number(duplicates),
    refused: Number(refused),
  }
}
