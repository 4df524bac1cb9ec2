import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Postgrator from 'postgrator'
import { EvtError, toError } from '../core/errors.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import type { Audit } from './audit.ts'
import { openStore, type Store } from './connection.ts'

export interface Migration {
  readonly version: number
  readonly name: string
}

export interface MigrationStatus {
  /** What the database has; 0 when evt never was there. */
  readonly version: number
  /** What this evt brings. */
  readonly latest: number
  readonly applied: readonly (Migration & { readonly appliedAt: Date | undefined })[]
  readonly pending: readonly Migration[]
  /** Of evt's roles, those that migrating had no right to create: an administrator has to, then `select evt.grant_roles()`. */
  readonly missingRoles: readonly string[]
}

const schemaTable = 'evt.migrations'
const roles = ['evt_publisher', 'evt_reader', 'evt_operator'] as const

/** The SQL is not compiled: it lies beside the source, also when this file runs from dist/. */
export const migrationsDirectory: string = ['./sql', '../../src/store/sql']
  .map((path) => fileURLToPath(new URL(path, import.meta.url)))
  .find((path) => existsSync(path)) as string

/**
 * Brings the schema up to what this evt needs, in one transaction: all of it or nothing. Safe to run twice and by several
 * processes at once (they wait for each other). Throws `migrations` when the database is newer than this evt or an applied
 * file was changed since.
 */
export async function migrateUp(target: Store | string, audit?: Audit): Promise<readonly Migration[]> {
  return withStore(target, (store) =>
    locked(store, async (sql) => {
      const { version, latest } = await readStatus(sql)
      if (version > latest) throw newerThanThis(store, version, latest)
      return audited(sql, await run(store, sql, latest), audit)
    }),
  )
}

/** Undoes the last `steps` migrations with all that their tables hold, in one transaction. */
export async function migrateDown(target: Store | string, steps: number, audit?: Audit): Promise<readonly Migration[]> {
  return withStore(target, (store) =>
    locked(store, async (sql) => {
      const { applied } = await readStatus(sql)
      if (applied.length === 0) return []
      const kept = applied.slice(0, Math.max(0, applied.length - steps))
      return audited(sql, await run(store, sql, kept.at(-1)?.version ?? 0), audit)
    }),
  )
}

export async function migrationStatus(target: Store | string): Promise<MigrationStatus> {
  return withStore(target, readStatus)
}

/** All that `migrateUp` would run on an empty database, as one script to read or to hand to an administrator. */
export async function migrationSql(): Promise<string> {
  const files = await migrationFiles('do')
  const texts = await Promise.all(files.map(({ path }) => readFile(path, 'utf8')))
  return files.map(({ version, name }, i) => `-- ${version} ${name}\n\n${texts[i]?.trimEnd()}\n`).join('\n\n')
}

/** Throws `migrations` unless the database has the schema that this evt needs; one that is newer by one version is fine. */
export async function checkSchema(store: Store): Promise<void> {
  const { version, latest } = await readStatus(store)
  if (version > latest + 1) throw newerThanThis(store, version, latest)
  if (version >= latest) return
  const reason = version === 0 ? "evt's tables are not there" : `its schema is version ${version}, evt needs ${latest}`
  throw new EvtError('migrations', `cannot use ${store.url}: ${reason}`, { hint: 'run `evt migrate up`' })
}

async function withStore<T>(target: Store | string, work: (store: Store) => Promise<T>): Promise<T> {
  if (typeof target !== 'string') return work(target)
  const store = await openStore(target, { applicationName: 'evt migrate', max: 1 })
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}

function locked<T>(store: Store, work: (sql: SqlExecutor) => Promise<T>): Promise<T> {
  return store.transaction(async (sql) => {
    await sql.query("select pg_advisory_xact_lock(hashtextextended('evt.migrations', 0))")
    await sql.query("set local client_min_messages = 'warning'")
    return work(sql)
  })
}

/** After it: before the first migration, and after the last was undone, there is no audit log to write to. */
async function audited(
  sql: SqlExecutor,
  done: readonly Migration[],
  audit: Audit | undefined,
): Promise<readonly Migration[]> {
  const { rows } = await sql.query("select to_regclass('evt.audit') is not null as found")
  if (rows[0]?.found) await audit?.(sql, done.length, { migrations: done })
  return done
}

async function run(store: Store, sql: SqlExecutor, version: number): Promise<readonly Migration[]> {
  const postgrator = new Postgrator({
    driver: 'pg',
    // A checkout may lie in a directory whose name has a glob's characters.
    migrationPattern: join(migrationsDirectory, '*.sql').replace(/[?()[\]{}]/g, '\\$&'),
    schemaTable,
    execQuery: async (query) => ({ rows: [...(await sql.query(query)).rows] }),
    execSqlScript: async (script) => {
      await sql.query(script)
    },
  })
  try {
    const done = await postgrator.migrate(String(version))
    return done.map(({ version, name }) => ({ version, name }))
  } catch (thrown) {
    throw migrationFailed(store, toError(thrown))
  }
}

function migrationFailed(store: Store, error: Error): Error {
  if (error instanceof EvtError) return error
  const changed = /MD5 checksum failed for migration \[(\d+)\]/.exec(error.message)
  const reason = changed ? `migration ${changed[1]} was changed after it had been applied` : error.message
  const hint = changed
    ? 'use the evt that applied it; in development, `evt migrate down` and `up` make the schema again'
    : 'nothing was changed; the role needs to own the schema evt, or to create it'
  return new EvtError('migrations', `cannot migrate ${store.url}: ${reason}`, { hint, cause: error })
}

function newerThanThis(store: Store, version: number, latest: number): EvtError {
  return new EvtError(
    'migrations',
    `cannot use ${store.url}: its schema is version ${version}, this evt knows ${latest}`,
    {
      hint: 'install a newer evt: npm install evtctl@latest',
    },
  )
}

async function readStatus(sql: SqlExecutor): Promise<MigrationStatus> {
  const files = await migrationFiles('do')
  const applied = await readApplied(sql)
  const version = applied.at(-1)?.version ?? 0
  const pending = files.filter((file) => file.version > version).map(({ version, name }) => ({ version, name }))
  const { rows } = await sql.query('select rolname from pg_roles where rolname = any ($1)', [roles])
  const missingRoles = roles.filter((role) => !rows.some((row) => row.rolname === role))
  return { version, latest: files.at(-1)?.version ?? 0, applied, pending, missingRoles }
}

async function readApplied(sql: SqlExecutor): Promise<MigrationStatus['applied']> {
  const { rows: found } = await sql.query('select to_regclass($1) is not null as found', [schemaTable])
  if (!found[0]?.found) return []
  const { rows } = await sql.query(
    `select version, name, run_at from ${schemaTable} where version > 0 order by version`,
  )
  return rows.map((row) => ({
    version: Number(row.version),
    name: String(row.name),
    appliedAt: row.run_at instanceof Date ? row.run_at : undefined,
  }))
}

async function migrationFiles(action: 'do' | 'undo'): Promise<readonly (Migration & { readonly path: string })[]> {
  const names = await readdir(migrationsDirectory)
  return names
    .map((file) => ({ file, parts: file.split('.') }))
    .filter(({ parts }) => parts.length === 4 && parts[1] === action && parts[3] === 'sql')
    .map(({ file, parts }) => ({
      version: Number(parts[0]),
      name: parts[2] ?? '',
      path: join(migrationsDirectory, file),
    }))
    .sort((a, b) => a.version - b.version)
}
