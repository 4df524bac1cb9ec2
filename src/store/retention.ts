import type { SqlExecutor } from '../transports/transport.ts'
import { isUnchanged } from './archive.ts'
import { type DayOfClass, logChunkSize, outboxLeaf } from './partition-names.ts'

/** A partition that is past its age and had to stay. */
export interface Retained {
  readonly table: string
  readonly reason: string
}

export interface RetentionTask {
  readonly table: string
  /** What has to be archived before it is dropped; undefined for parts of the log, and for what came from an archive. */
  readonly archivable: DayOfClass | undefined
  /** Who has not handled all that is in it, the furthest behind first; others may appear until it is dropped. */
  needs(sql: SqlExecutor): Promise<readonly string[]>
  /** Drops it within the transaction, or returns why it has to stay. */
  drop(sql: SqlExecutor, mode: DropMode): Promise<string | undefined>
}
/** `archived`: only what the latest archive has. */
export type DropMode = 'archived' | 'as-it-is'

/** What is past its age on this day, the oldest first. */
export async function retentionTasks(
  sql: SqlExecutor,
  today: string,
  retentionDays: Readonly<Record<string, number>>,
): Promise<readonly RetentionTask[]> {
  const { rows } = await sql.query(
    `select k.class, d.day::text, r.class is not null as restored
     from pg_class c join evt.classes k on c.relname ~ ('^outbox_' || k.class || '_[0-9]{8}$')
     cross join lateral (select to_date(substring(c.relname from '^outbox_[a-z0-9]+_([0-9]{8})$'), 'YYYYMMDD') as day) d
     left join evt.restored r on r.class = k.class and r.day = d.day
     where c.relnamespace = 'evt'::regnamespace and c.relkind = 'r'
       and coalesce(r.keep_until < $1::date, d.day < $1::date - coalesce(($2::json->>k.class)::int, k.retention_days))
     order by d.day, k.class`,
    [today, JSON.stringify(retentionDays)],
  )
  const leaves = (rows as unknown as (DayOfClass & { readonly restored: boolean })[]).map(leafTask)
  return [...leaves, ...(await chunkTasks(sql))]
}

function leafTask({ class: eventClass, day, restored }: DayOfClass & { readonly restored: boolean }): RetentionTask {
  const of = { class: eventClass, day }
  return {
    table: tableOf(of),
    archivable: restored ? undefined : of,
    needs: (sql) => whoNeeds(sql, of),
    drop: (sql, mode) => (restored ? dropRestored(sql, of) : dropLeaf(sql, of, mode)),
  }
}

const tableOf = (of: DayOfClass): string => outboxLeaf(of.class, of.day).slice('evt.'.length)

async function dropLeaf(sql: SqlExecutor, of: DayOfClass, mode: DropMode): Promise<string | undefined> {
  const parent = `evt.outbox_${of.class}`
  const leaf = outboxLeaf(of.class, of.day)
  if (!(await isOurs(sql, leaf))) return undefined
  const writing = await whoWrites(sql, parent)
  if (writing) return writing
  // The partition first: while this waits for its readers, writers to the others go on.
  await sql.query(`lock table ${leaf} in access exclusive mode`)
  // Nobody sequences what is in it any more, and nobody who would need it appears: so what follows is certain.
  await sql.query('lock table evt.groups, evt.sinks in share mode')
  const needed = neededBy(await whoNeeds(sql, of))
  if (needed) return needed
  if (mode === 'archived' && !(await isUnchanged(sql, of))) return 'it was written to after it was archived'
  const attached = await isAttached(sql, leaf)
  if (attached) await sql.query(`alter table ${parent} detach partition ${leaf}`)
  if (await hasUnsequenced(sql, leaf)) {
    if (attached)
      await sql.query(
        `alter table ${parent} attach partition ${leaf} for values from ('${of.day}') to ('${nextDay(of.day)}')`,
      )
    return 'it has events that are not sequenced'
  }
  await sql.query(`drop table ${leaf}`)
  return undefined
}

async function dropRestored(sql: SqlExecutor, of: DayOfClass): Promise<string | undefined> {
  const leaf = outboxLeaf(of.class, of.day)
  if (!(await isOurs(sql, leaf))) return undefined
  await sql.query(`lock table ${leaf} in access exclusive mode`)
  const needed = neededBy(await whoNeeds(sql, of))
  if (needed) return needed
  await sql.query('delete from evt.restored where class = $1 and day = $2', [of.class, of.day])
  await sql.query(`drop table ${leaf}`)
  return undefined
}

/** One process at a time makes and drops. False when another one has just dropped it. */
async function isOurs(sql: SqlExecutor, table: string): Promise<boolean> {
  await sql.query(`select pg_advisory_xact_lock(hashtextextended('evt.partitions', 0))`)
  // Not `to_regclass`: that may answer from before the lock was free.
  const { rows } = await sql.query(
    `select exists (select from pg_class where relnamespace = 'evt'::regnamespace and 'evt.' || relname = $1) as found`,
    [table],
  )
  return (rows[0] as { found: boolean }).found
}

async function isAttached(sql: SqlExecutor, leaf: string): Promise<boolean> {
  const { rows } = await sql.query('select relispartition as attached from pg_class where oid = $1::regclass', [leaf])
  return (rows[0] as { attached: boolean } | undefined)?.attached ?? false
}

async function hasUnsequenced(sql: SqlExecutor, leaf: string): Promise<boolean> {
  const { rows } = await sql.query('select evt.has_unsequenced($1::regclass) as found', [leaf])
  return (rows[0] as { found: boolean }).found
}

/** Those who have not handled all events of that day, the furthest behind first. */
async function whoNeeds(sql: SqlExecutor, { class: eventClass, day }: DayOfClass): Promise<readonly string[]> {
  const { rows } = await sql.query(
    `with need as materialized (select who, after from evt.needs where after is not null),
       last as materialized (select max(position) as position from evt.log
         where position > (select min(after) from need) and day = $1 and class = $2)
     select who from need, last where need.after < last.position order by need.after, who`,
    [day, eventClass],
  )
  return rows.map((row) => String(row.who))
}

/** Undefined when nobody needs it. */
export function neededBy(who: readonly string[]): string | undefined {
  if (who.length === 0) return undefined
  return `${who.join(', ')} still ${who.length === 1 ? 'needs' : 'need'} it`
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
       (select array_agg(c.relname::text order by c.relname) from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'evt.log'::regclass) as chunks,
       (select min(after) from evt.needs)::text as needed,
       (select min(to_date(right(relname, 8), 'YYYYMMDD'))::text from pg_class
        where relnamespace = 'evt'::regnamespace and relname ~ '^outbox_[a-z0-9]+_[0-9]{8}$' and relkind = 'r') as oldest`,
  )
  const { head, chunks, needed, oldest } = rows[0] as Record<string, string | null>
  const tasks: RetentionTask[] = []
  if (head == null || oldest == null) return tasks
  const safe = needed == null || BigInt(needed) > BigInt(head) ? BigInt(head) : BigInt(needed)
  for (const chunk of (chunks ?? []) as unknown as readonly string[]) {
    const end = (BigInt(chunk.slice('log_'.length)) + 1n) * logChunkSize
    // Of a part that came back from archives, only some positions are there.
    const { rows: old } = await sql.query(
      `select (sequenced_at at time zone 'UTC')::date < $1::date as old from evt.${chunk} order by position desc limit 1`,
      [oldest],
    )
    if (end > safe || old[0]?.old !== true) break
    tasks.push({
      table: chunk,
      archivable: undefined,
      needs: async () => [],
      drop: (own) => dropChunk(own, `evt.${chunk}`),
    })
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
