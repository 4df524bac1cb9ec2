import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { checkSchema, migrateDown, migrateUp, migrationSql, migrationStatus } from '../../src/store/migrate.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'

const root = join(import.meta.dirname, '../..')

describeServers('migrating', (server) => {
  it('brings an empty database up to the latest version, and a second time changes nothing', async () => {
    const { store } = await createTestDatabase({ server, schema: 'empty' })
    await expect(checkSchema(store)).rejects.toMatchObject({ code: 'migrations', hint: 'run `evt migrate up`' })
    const { version, latest, pending } = await migrationStatus(store)
    expect(version).toBe(0)
    expect(await migrateUp(store)).toEqual(pending)
    expect(await migrateUp(store)).toEqual([])
    await checkSchema(store)
    expect(await migrationStatus(store)).toMatchObject({ version: latest, latest, pending: [] })
  })

  it('is done once when four processes start it together', async () => {
    const { url } = await createTestDatabase({ server, schema: 'empty' })
    const results = await Promise.all([1, 2, 3, 4].map(() => migrateUp(url)))
    expect(results.filter((done) => done.length > 0)).toHaveLength(1)
  })

  it('goes down to nothing and up again', async () => {
    const { store } = await createTestDatabase({ server })
    const { applied } = await migrationStatus(store)
    const undone = await migrateDown(store, applied.length)
    expect(undone.map(({ version }) => version)).toEqual(applied.map(({ version }) => version).reverse())
    const { rows } = await store.query(
      "select relname from pg_class where relnamespace = 'evt'::regnamespace and relkind in ('r', 'p') and relname <> 'migrations'",
    )
    expect(rows).toEqual([])
    expect(await migrateUp(store)).toHaveLength(applied.length)
  })

  it('takes one step down', async () => {
    const { store } = await createTestDatabase({ server })
    const { latest } = await migrationStatus(store)
    expect(await migrateDown(store, 1)).toMatchObject([{ version: latest }])
    expect((await migrationStatus(store)).pending).toMatchObject([{ version: latest }])
    await expect(checkSchema(store)).rejects.toMatchObject({ code: 'migrations' })
  })

  it('leaves nothing behind when a statement fails half-way', async () => {
    const { store } = await createTestDatabase({ server, schema: 'empty' })
    await store.query('create schema evt; create table evt.instances (mine int)')
    await expect(migrateUp(store)).rejects.toMatchObject({
      code: 'migrations',
      message: expect.stringContaining('already exists'),
    })
    const { rows } = await store.query(
      "select array_agg(relname::text) as names from pg_class where relnamespace = 'evt'::regnamespace",
    )
    expect(rows).toEqual([{ names: ['instances'] }])
  })

  it('refuses a schema whose applied migration was changed, and says which', async () => {
    const { store } = await createTestDatabase({ server })
    await store.query("update evt.migrations set md5 = 'other' where version = 2")
    await expect(migrateUp(store)).rejects.toMatchObject({
      code: 'migrations',
      message: expect.stringContaining('migration 2 was changed'),
    })
  })

  it('works with a schema that is newer by one version and refuses one that is newer by two', async () => {
    const { store } = await createTestDatabase({ server })
    const { latest } = await migrationStatus(store)
    await store.query("insert into evt.migrations (version, name) values ($1, 'next')", [latest + 1])
    await checkSchema(store)
    await store.query("insert into evt.migrations (version, name) values ($1, 'after')", [latest + 2])
    await expect(checkSchema(store)).rejects.toMatchObject({
      code: 'migrations',
      hint: expect.stringContaining('install a newer evt'),
    })
    await expect(migrateUp(store)).rejects.toMatchObject({ code: 'migrations' })
  })

  it('prints a script that makes the same tables', async () => {
    const { store } = await createTestDatabase({ server, schema: 'empty' })
    const migrated = await createTestDatabase({ server })
    await store.query('create schema evt; create table evt.migrations (like pg_class)')
    await store.query(await migrationSql())
    const tables =
      "select count(*)::int as n from pg_class where relnamespace = 'evt'::regnamespace and relname <> 'migrations'"
    const [{ rows: printed }, { rows: real }] = await Promise.all([store.query(tables), migrated.store.query(tables)])
    expect(printed[0]?.n).toBeGreaterThan(50)
    expect(Math.abs(Number(printed[0]?.n) - Number(real[0]?.n))).toBeLessThanOrEqual(1)
  })
})

it('the SQL is found from dist/, in a directory whose name has the characters of a glob', async () => {
  const home = mkdtempSync(join(tmpdir(), 'evt [a]{b}(c)-'))
  onTestFinished(() => rmSync(home, { recursive: true, force: true }))
  mkdirSync(join(home, 'src/store'), { recursive: true })
  cpSync(join(root, 'src/store/sql'), join(home, 'src/store/sql'), { recursive: true })
  cpSync(join(root, 'package.json'), join(home, 'package.json'))
  symlinkSync(join(root, 'node_modules'), join(home, 'node_modules'))
  const run = promisify(execFile)
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const flags = ['--ignoreConfig', '--target', 'es2024', '--module', 'nodenext', '--types', 'node', '--skipLibCheck']
  const rewrite = ['--rewriteRelativeImportExtensions', '--rootDir', join(root, 'src'), '--outDir', join(home, 'dist')]
  await run(process.execPath, [tsc, ...flags, ...rewrite, join(root, 'src/store/migrate.ts')], { cwd: root })
  const { url, store } = await createTestDatabase({ schema: 'empty' })
  const script = `const { migrateUp } = await import(${JSON.stringify(join(home, 'dist/store/migrate.js'))})
    await migrateUp(${JSON.stringify(url)})`
  await run(process.execPath, ['--input-type=module', '-e', script], { cwd: home })
  await checkSchema(store)
})
