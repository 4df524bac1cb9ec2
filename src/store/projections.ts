import { EvtError } from '../core/errors.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import type { Audit } from './audit.ts'
import type { Store } from './connection.ts'
import { type LostHistory, readLost } from './lost-history.ts'

/** What the store has to know of a projection. */
export interface ProjectionTables {
  readonly name: string
  readonly version: number
  /** Name → what stands between the parentheses of `create table`. */
  readonly tables: Readonly<Record<string, string>>
}

/** One build of a projection's tables. */
export interface Generation {
  readonly name: string
  readonly generation: number
  readonly version: number
  readonly status: 'building' | 'live'
  readonly startedAt: string
  /** Every event up to here is in its tables. */
  readonly position: bigint
  readonly lagEvents: number
  /** Events that its tables lack: dead, to be tried again, or behind one that is. */
  readonly missing: number
  /** Those of them that nobody tries again by himself. */
  readonly dead: number
}

/** Its group, its inbox and its retries go by this name. */
export const generationHandler = ({ name, generation }: Pick<Generation, 'name' | 'generation'>): string =>
  `projection.${name}.g${generation}`

export const generationSchema = ({ name, generation }: Pick<Generation, 'name' | 'generation'>): string =>
  `${name}_g${generation}`

const lanes = 16
const waitForReaders = '2s'

/** The oldest first. */
export async function readGenerations(sql: SqlExecutor, name?: string): Promise<readonly Generation[]> {
  const { rows } = await sql.query(
    `select p.name, p.generation, p.version, p.status, p.started_at, coalesce(l.position, 0)::text as position,
       greatest(0, evt.head() - coalesce(l.position, 0))::text as lag,
       (select count(*) from evt.deliveries d where d.handler = h.name)::text as waiting,
       (select count(*) from evt.dead_letters d where d.handler = h.name and d.status = 'open')::text as dead
     from evt.projections p
     cross join lateral (select 'projection.' || p.name || '.g' || p.generation as name) h
     left join lateral (select min(position) as position from evt.lanes
       where group_name = h.name) l on true
     where $1::text is null or p.name = $1 order by p.name, p.generation`,
    [name ?? null],
  )
  return rows.map((row) => ({
    name: String(row.name),
    generation: Number(row.generation),
    version: Number(row.version),
    status: row.status as Generation['status'],
    startedAt: (row.started_at as Date).toISOString(),
    position: BigInt(String(row.position)),
    lagEvents: Number(row.lag),
    missing: Number(row.waiting) + Number(row.dead),
    dead: Number(row.dead),
  }))
}

/**
 * Makes the first generation where there is none, and one to be built beside the live one where that is of an earlier version. What retention has
 * removed of these types is answered: the first one begins without it, a later one does not begin, because the live one may have it. A process
 * of an earlier version changes nothing. Safe to run by several at once.
 */
export async function ensureProjection(
  store: Store,
  projection: ProjectionTables,
  types: readonly string[],
): Promise<{ readonly began: 'first' | 'next' | undefined; readonly lost?: LostHistory | undefined }> {
  return store.transaction(async (sql) => {
    const known = await enter(sql, projection.name)
    const live = known.find(({ status }) => status === 'live')
    const newest = known.reduce((most, one) => Math.max(most, one.version), 0)
    if (live && newest >= projection.version) return { began: undefined }
    const lost = await readLost(sql, types)
    if (!live) await createGeneration(sql, projection, { generation: 1, status: 'live' })
    else if (lost) return { began: undefined, lost }
    else await createNext(sql, projection, known)
    return { began: live ? 'next' : 'first', lost }
  })
}

/** Begins to build its tables anew, from the beginning of the log, beside the live ones; one that is being built is given up. */
export async function rebuildProjection(store: Store, projection: ProjectionTables, audit?: Audit): Promise<number> {
  return store.transaction(async (sql) => {
    const known = await enter(sql, projection.name)
    const generation = await createNext(sql, projection, known)
    await audit?.(sql, 1, { generation })
    return generation
  })
}

/** Gives up what is being built; the live one stays as it is. Answers which build that was. */
export async function stopBuild(store: Store, name: string, audit?: Audit): Promise<number | undefined> {
  return store.transaction(async (sql) => {
    const [stopped] = await dropBuilds(sql, await enter(sql, name))
    if (stopped) await audit?.(sql, 1, { generation: stopped.generation })
    return stopped?.generation
  })
}

/**
 * In one transaction: the views show this generation, and the one before it is gone. False when it is not being built any more. Throws
 * `timeout` when somebody reads the old tables for longer than a moment: then nothing has changed.
 */
export async function switchProjection(store: Store, { name, generation }: Generation): Promise<boolean> {
  return store.transaction(async (sql) => {
    const known = await enter(sql, name)
    const next = known.find((one) => one.generation === generation && one.status === 'building')
    if (!next) return false
    await sql.query(`select set_config('lock_timeout', $1, true)`, [waitForReaders])
    const before = known.filter((one) => one.status === 'live')
    for (const one of before)
      await sql.query('delete from evt.projections where name = $1 and generation = $2', [name, one.generation])
    await sql.query(
      `update evt.projections set status = 'live', live_since = clock_timestamp() where name = $1 and generation = $2`,
      [name, generation],
    )
    await showIn(sql, next)
    for (const one of before) await dropGeneration(sql, one)
    return true
  })
}

interface Known extends Pick<Generation, 'name' | 'generation' | 'version' | 'status'> {
  readonly tables: readonly string[]
}

/** One process at a time changes a projection. */
async function enter(sql: SqlExecutor, name: string): Promise<readonly Known[]> {
  await sql.query(`select pg_advisory_xact_lock(hashtextextended('evt.projection ' || $1, 0))`, [name])
  const { rows } = await sql.query(
    'select name, generation, version, status, tables from evt.projections where name = $1 order by generation',
    [name],
  )
  return rows as unknown as readonly Known[]
}

async function createNext(sql: SqlExecutor, projection: ProjectionTables, known: readonly Known[]): Promise<number> {
  await dropBuilds(sql, known)
  const generation = known.reduce((most, one) => Math.max(most, one.generation), 0) + 1
  await createGeneration(sql, projection, { generation, status: known.length === 0 ? 'live' : 'building' })
  return generation
}

async function dropBuilds(sql: SqlExecutor, known: readonly Known[]): Promise<readonly Known[]> {
  const builds = known.filter(({ status }) => status === 'building')
  for (const one of builds) {
    await sql.query('delete from evt.projections where name = $1 and generation = $2', [one.name, one.generation])
    await dropGeneration(sql, one)
  }
  return builds
}

async function createGeneration(
  sql: SqlExecutor,
  { name, version, tables }: ProjectionTables,
  { generation, status }: Pick<Generation, 'generation' | 'status'>,
): Promise<void> {
  const names = Object.keys(tables)
  const made = { name, generation, version, status, tables: names }
  const schema = quoted(generationSchema(made))
  await sql.query(`create schema ${schema}`)
  for (const [table, columns] of Object.entries(tables)) {
    await sql.query(`create table ${schema}.${quoted(table)} (${columns})`).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error)
      throw new EvtError('config', `cannot make table ${table} of projection ${name}: ${reason}`, { cause: error })
    })
  }
  await sql.query(
    `insert into evt.projections (name, generation, version, status, tables, live_since)
     values ($1, $2, $3, $4, $5, case when $4 = 'live' then clock_timestamp() end)`,
    [name, generation, version, status, names],
  )
  // Whoever drops a partition looks at who needs it under this lock.
  await sql.query(`select pg_advisory_xact_lock(hashtextextended('evt.partitions', 0))`)
  await sql.query('select evt.ensure_group($1, $2, coalesce((select min(position) - 1 from evt.log), evt.head()))', [
    generationHandler(made),
    lanes,
  ])
  if (status === 'live') await showIn(sql, made)
}

/** Views in the schema of its name. Those that others are built on stay where the columns allow it. */
async function showIn(sql: SqlExecutor, of: Known): Promise<void> {
  const [views, schema] = [quoted(of.name), quoted(generationSchema(of))]
  await sql.query(`create schema if not exists ${views}`)
  for (const table of of.tables) {
    const view = `${views}.${quoted(table)}`
    const text = `view ${view} as select * from ${schema}.${quoted(table)}`
    await sql.query('savepoint view')
    try {
      await sql.query(`create or replace ${text}`)
    } catch (error) {
      // Other columns than before.
      if ((error as { readonly code?: string }).code !== '42P16') throw error
      await sql.query('rollback to view')
      await sql.query(`drop view ${view}`)
      await sql.query(`create ${text}`)
    }
    await sql.query('release view')
  }
}

async function dropGeneration(sql: SqlExecutor, of: Known): Promise<void> {
  const handler = generationHandler(of)
  await sql.query(`drop schema if exists ${quoted(generationSchema(of))} cascade`)
  for (const table of ['deliveries', 'parked_subjects', 'suspects', 'inbox', 'breakers'])
    await sql.query(`delete from evt.${table} where handler = $1`, [handler])
  await sql.query(
    `update evt.dead_letters set status = 'discarded', resolved_at = clock_timestamp(), note = 'its build of the projection is gone'
     where handler = $1 and status = 'open'`,
    [handler],
  )
  await sql.query('delete from evt.groups where name = $1', [handler])
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
