import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'vitest'
import { openStore, type Store } from '../../src/store/connection.ts'
import { migrateUp, migrationsDirectory } from '../../src/store/migrate.ts'
import { onTestFinished } from './on-test-finished.ts'
import { type PostgresVersion, postgresVersions } from './postgres-binaries.ts'
import { hasServer, serverUrl } from './shared-servers.ts'

export interface TestDatabase {
  readonly url: string
  readonly store: Store
  [Symbol.asyncDispose](): Promise<void>
}

export interface TestDatabaseOptions {
  /** Default 18. */
  readonly server?: PostgresVersion
  /** `migrated` (default) has evt's schema; `empty` has nothing. */
  readonly schema?: 'migrated' | 'empty'
  /** Connections of `store`; default 10. */
  readonly max?: number
}

/** Runs the suite once for every PostgreSQL; one that is not on this machine is skipped, and counted as skipped. */
export function describeServers(name: string, suite: (server: PostgresVersion) => void): void {
  for (const server of postgresVersions) {
    describe.skipIf(!hasServer(`postgres-${server}`))(`${name} on PostgreSQL ${server}`, () => suite(server))
  }
}

/**
 * A database of its own, cloned from a migrated template. Inside a test it is dropped when the test ends; in `beforeAll`
 * the caller disposes of it.
 */
export async function createTestDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const server = await serverOf(options.server ?? 18)
  const source = options.schema === 'empty' ? 'template0' : await server.template()
  made += 1
  const name = `evt_test_${process.pid}_${performance.timeOrigin.toFixed(0)}_${made}`
  await server.admin.query(`create database ${name} template ${source}${server.fastCopy}`)
  const url = withDatabase(server.url, name)
  const store = await openStore(url, { applicationName: 'evt test', max: options.max ?? 10 })
  const dispose = async (): Promise<void> => {
    await store.close()
    await dropDatabase(server.admin, name)
  }
  disposeAfterTest(dispose)
  return { url, store, [Symbol.asyncDispose]: dispose }
}

/** PostgreSQL would sleep 100 ms when it finds a session that is still ending: its end is waited for here. */
async function dropDatabase(admin: Store, name: string): Promise<void> {
  const sessions = async () => {
    const { rows } = await admin.query('select from pg_stat_activity where datname = $1', [name])
    return rows.length
  }
  const deadline = performance.now() + 500
  while ((await sessions()) > 0 && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  await admin.query(`drop database if exists ${name} with (force)`)
}

let made = 0

function disposeAfterTest(dispose: () => Promise<void>): void {
  try {
    onTestFinished(dispose)
  } catch {
    // Not inside a test: the caller disposes.
  }
}

/** A server as this worker knows it: a few connections to it, kept, because each new one costs as much as a small test. */
interface KnownServer {
  readonly url: string
  readonly admin: Store
  /** Copying files is twice as fast as logging pages, as long as a checkpoint costs nothing (PostgreSQL 15 and newer). */
  readonly fastCopy: string
  /** Name of the template database; built on the first call. */
  template(): Promise<string>
}

const known = new Map<PostgresVersion, Promise<KnownServer>>()

function serverOf(version: PostgresVersion): Promise<KnownServer> {
  const server = known.get(version) ?? connectTo(version)
  known.set(version, server)
  return server
}

async function connectTo(version: PostgresVersion): Promise<KnownServer> {
  const url = await serverUrl(`postgres-${version}`)
  const admin = await openStore(url, { applicationName: 'evt test admin', max: 3, connectTimeoutMs: 30_000 })
  let template: Promise<string> | undefined
  return {
    url,
    admin,
    fastCopy: admin.serverVersion >= 150_000 ? ' strategy file_copy' : '',
    template: () => {
      template ??= buildTemplate(admin, url)
      return template
    },
  }
}

/** Built once per server and content of the migrations: a changed SQL file makes another template. */
async function buildTemplate(admin: Store, url: string): Promise<string> {
  const name = `evt_template_${migrationsHash()}`
  const client = await admin.pool.connect()
  try {
    await client.query("select pg_advisory_lock(hashtextextended('evt.template', 0))")
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name])
    if (rowCount) return name
    // Half-built ones stay under another name.
    await client.query(`drop database if exists ${name}_building with (force)`)
    await client.query(`create database ${name}_building template template0`)
    await migrateUp(withDatabase(url, `${name}_building`))
    await client.query(`alter database ${name}_building rename to ${name}`)
    return name
  } finally {
    client.release(true)
  }
}

function migrationsHash(): string {
  const hash = createHash('sha256')
  for (const file of readdirSync(migrationsDirectory).sort()) {
    hash.update(`${file}\0`).update(readFileSync(join(migrationsDirectory, file)))
  }
  return hash.digest('hex').slice(0, 16)
}

function withDatabase(url: string, name: string): string {
  const changed = new URL(url)
  changed.pathname = `/${name}`
  return changed.href
}
