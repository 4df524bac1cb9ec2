import type { SqlExecutor } from '../transports/transport.ts'
import { logChunkSize, logChunkTable } from './partition-names.ts'

/** A partition that is past its age and had to stay. */
export interface Retained {
  readonly table: string
  readonly reason: string
}

export interface RetentionTask {
  readonly table: string
  /** Drops it within the transaction, or returns why it has to stay. */
  drop(sql: SqlExecutor): Promise<string | undefined>
}

/** What is past its age on this day, the oldest first. */
export async function retentionTasks(
  sql: SqlExecutor,
  today: string,
  retentionDays: Readonly<Record<string, number>>,
): Promise<readonly RetentionTask[]> {
  const { rows } = await sql.query(
    `select c.relname as leaf, k.class, to_date(right(c.relname, 8), 'YYYYMMDD')::text as day
     from pg_class c join evt.classes k on c.relname ~ ('^outbox_' || k.class || '_[0-9]{8}$')
     where c.relnamespace = 'evt'::regnamespace and c.relkind = 'r'
       and to_date(right(c.relname, 8), 'YYYYMMDD') < $1::date - coalesce(($2::json->>k.class)::int, k.retention_days)
     order by day, leaf`,
    [today, JSON.stringify(retentionDays)],
  )
  const leaves = (rows as unknown as Leaf[]).map((leaf) => ({
    table: leaf.leaf,
    drop: (own: SqlExecutor) => dropLeaf(own, leaf),
  }))
  return [...leaves, ...(await chunkTasks(sql))]
}

interface Leaf {
  readonly leaf: string
  readonly class: string
  readonly day: string
}

async function dropLeaf(sql: SqlExecutor, { leaf, class: eventClass, day }: Leaf): Promise<string | undefined> {
  const parent = `evt.outbox_${eventClass}`
  if (!(await isOurs(sql, `evt.${leaf}`))) return undefined
  const blocked = (await whoNeeds(sql, eventClass, day)) ?? (await whoWrites(sql, parent))
  if (blocked) return blocked
  // The partition first: while this waits for its readers, writers to the others go on.
  await sql.query(`lock table evt.${leaf} in access exclusive mode`)
  if (await isAttached(sql, leaf)) await sql.query(`alter table ${parent} detach partition evt.${leaf}`)
  // Nobody can write to it any more, so this is certain now.
  if (await hasUnsequenced(sql, leaf)) {
    await sql.query(
      `alter table ${parent} attach partition evt.${leaf} for values from ('${day}') to ('${nextDay(day)}')`,
    )
    return 'it has events that are not sequenced'
  }
  await sql.query(`drop table evt.${leaf}`)
  return undefined
}

/** One process at a time makes and drops. False when another one has just dropped it. */
async function isOurs(sql: SqlExecutor, table: string): Promise<boolean> {
  await sql.query(`select pg_advisory_xact_lock(hashtextextended('evt.partitions', 0))`)
  const { rows } = await sql.query('select to_regclass($1) is not null as found', [table])
  return (rows[0] as { found: boolean }).found
}

async function isAttached(sql: SqlExecutor, leaf: string): Promise<boolean> {
  const { rows } = await sql.query('select relispartition as attached from pg_class where oid = $1::regclass', [
    `evt.${leaf}`,
  ])
  return (rows[0] as { attached: boolean } | undefined)?.attached ?? false
}

async function hasUnsequenced(sql: SqlExecutor, leaf: string): Promise<boolean> {
  const { rows } = await sql.query('select evt.has_unsequenced($1::regclass) as found', [`evt.${leaf}`])
  return (rows[0] as { found: boolean }).found
}

/** The one who is furthest behind, if what it has not handled yet includes events of that day. */
async function whoNeeds(sql: SqlExecutor, eventClass: string, day: string): Promise<string | undefined> {
  const { rows } = await sql.query('select who, after from evt.needs where after is not null order by after limit 1')
  const [need] = rows as unknown as readonly { who: string; after: string }[]
  if (!need) return undefined
  const { rows: found } = await sql.query(
    'select exists (select from evt.log where position > $1 and day = $2 and class = $3) as needed',
    [need.after, day, eventClass],
  )
  return (found[0] as { needed: boolean }).needed ? `${need.who} still needs it` : undefined
}

/** A prepared transaction or a writer that is open for long would make the detaching wait, and others behind it. */
async function whoWrites(sql: SqlExecutor, parent: string): Promise<string | undefined> {
  const { rows } = await sql.query(
    `select coalesce('a transaction open since ' || to_char(a.xact_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')
         || ' (pid ' || a.pid || ')', 'a prepared transaction') || ' writes to ' || $1 as who
     from pg_locks l left join pg_stat_activity a on a.pid = l.pid
     where l.relation = $1::regclass and l.database = (select oid from pg_database where datname = current_database())
       and l.granted and l.mode = 'RowExclusiveLock'
       and (a.pid is null or a.xact_start < clock_timestamp() - interval '1 s') limit 1`,
    [parent],
  )
  return (rows[0] as { who: string } | undefined)?.who
}

/** Parts of the log of whose events no partition is left. */
async function chunkTasks(sql: SqlExecutor): Promise<readonly RetentionTask[]> {
  const { rows } = await sql.query(
    `select (select head from evt.ticks order by tick desc limit 1)::text as head,
       (select min(position) from evt.log)::text as first,
       (select min(after) from evt.needs)::text as needed,
       (select min(to_date(right(relname, 8), 'YYYYMMDD'))::text from pg_class
        where relnamespace = 'evt'::regnamespace and relname ~ '^outbox_[a-z0-9]+_[0-9]{8}$' and relkind = 'r') as oldest`,
  )
  const { head, first, needed, oldest } = rows[0] as Record<string, string | null>
  const tasks: RetentionTask[] = []
  if (first == null || head == null || oldest == null) return tasks
  const safe = needed == null || BigInt(needed) > BigInt(head) ? BigInt(head) : BigInt(needed)
  for (let start = (BigInt(first) / logChunkSize) * logChunkSize; start + logChunkSize <= safe; start += logChunkSize) {
    const table = logChunkTable(start)
    const last = String(start + logChunkSize - 1n)
    const { rows: old } = await sql.query(
      `select (sequenced_at at time zone 'UTC')::date < $2::date as old from ${table} where position = $1`,
      [last, oldest],
    )
    if ((old[0] as { old: boolean } | undefined)?.old !== true) break
    tasks.push({ table: table.slice('evt.'.length), drop: (own) => dropChunk(own, table) })
  }
  return tasks
}

async function dropChunk(sql: SqlExecutor, table: string): Promise<undefined> {
  if (!(await isOurs(sql, table))) return undefined
  await sql.query(`lock table ${table} in access exclusive mode`)
  await sql.query(`alter table evt.log detach partition ${table}`)
  await sql.query(`drop table ${table}`)
  return undefined
}

function nextDay(day: string): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10)
}
