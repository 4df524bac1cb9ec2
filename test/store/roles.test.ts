import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { encodeEvent } from '../../src/core/codec.ts'
import { defineEvent } from '../../src/core/define-event.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createEventStore } from '../../src/replay/create-event-store.ts'
import { addCapture } from '../../src/store/capture.ts'
import { openStore, type Store } from '../../src/store/connection.ts'
import { migrateUp, migrationSql, migrationStatus } from '../../src/store/migrate.ts'
import { copyEvents, publishEncoded } from '../../src/store/outbox.ts'
import { listTokens } from '../../src/store/tokens.ts'
import type { SqlExecutor } from '../../src/transports/transport.ts'
import { eventOf } from '../handle/running.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { startPrivateServer } from '../setup/private-server.ts'

const added = defineEvent('item.added', { 1: z.object({ sku: z.string() }) })
const publish = "select evt.publish('user.created', '{}', 'user/1')"

/** As a login role that was granted `role` would work; rolled back at the end. */
async function as<T>(store: Store, role: string, work: (sql: SqlExecutor) => Promise<T>): Promise<T> {
  const rollBack = new Error('done')
  let result: T | undefined
  await store
    .transaction(async (sql) => {
      await sql.query(`set local role ${role}`)
      result = await work(sql)
      throw rollBack
    })
    .catch((error: unknown) => {
      if (error !== rollBack) throw error
    })
  return result as T
}

const denied = { code: 'connect', message: expect.stringContaining('permission denied') }

describeServers('roles', (server) => {
  it('a publisher publishes and reads nothing', async () => {
    const { store } = await createTestDatabase({ server })
    const { rows } = await as(store, 'evt_publisher', (sql) => sql.query(publish))
    expect(rows).toHaveLength(1)
    for (const table of ['outbox', 'log', 'dead_letters', 'captures', 'instances']) {
      await expect(as(store, 'evt_publisher', (sql) => sql.query(`select from evt.${table}`))).rejects.toMatchObject(
        denied,
      )
    }
  })

  it('a publisher says what an event is, and not when or where it is in the order', async () => {
    const { store } = await createTestDatabase({ server })
    const forged = { xid: "'5'", seq: '1', day: 'current_date + 10', recorded_at: "'infinity'" }
    for (const [column, value] of Object.entries(forged)) {
      const insert = `insert into evt.outbox (id, type, source, data, ${column}) values ('i', 'a.b', 's', '1', ${value})`
      await expect(as(store, 'evt_publisher', (sql) => sql.query(insert))).rejects.toMatchObject(denied)
      const copy = `copy evt.outbox (id, type, source, data, ${column}) from stdin`
      await expect(as(store, 'evt_publisher', (sql) => sql.query(copy))).rejects.toMatchObject(denied)
    }
    const later =
      "insert into evt.scheduled (deliver_at, id, type, source, data, scheduled_at) values (now(), 'i', 'a.b', 's', '1', now())"
    await expect(as(store, 'evt_publisher', (sql) => sql.query(later))).rejects.toMatchObject(denied)
  })

  it('every way to publish is open to a publisher: functions, inserts, COPY, for later, captured tables', async () => {
    const { url, store } = await createTestDatabase({ server })
    await store.query('create table people (id bigint primary key)')
    await addCapture(store, { table: 'people', entity: 'person' })
    await store.query('grant insert on people to evt_publisher')
    const event = encodeEvent(eventOf({ type: 'a.b' }))
    const asPublisher = `${url}${url.includes('?') ? '&' : '?'}options=${encodeURIComponent('-c role=evt_publisher')}`
    const publishing = await openStore(asPublisher, { applicationName: 'evt test', max: 1 })
    onTestFinished(() => publishing.close())
    await publishing.query(publish)
    await publishing.query(`select evt.publish_many('[{"type":"a.b","data":1,"id":"own"}]')`)
    await publishing.query("select evt.publish_at(now(), 'a.b', '1', id => 'later')")
    await publishing.query("insert into evt.outbox (id, type, source, data) values ('i', 'a.b', 's', '1')")
    await publishing.query('insert into people values (1)')
    await publishEncoded(publishing, [event, { ...event, id: 'held', deliverAt: '2999-01-01T00:00:00Z' }])
    await copyEvents(publishing, [{ ...event, id: 'copied' }])
    expect((await store.query('select from evt.outbox')).rows).toHaveLength(6)
    expect((await store.query('select from evt.scheduled')).rows).toHaveLength(2)
  })

  it('a publisher publishes while the relay sleeps, too', async () => {
    const { store } = await createTestDatabase({ server })
    await store.query("select setval('evt.parked', 2)")
    expect((await as(store, 'evt_publisher', (sql) => sql.query(publish))).rows).toHaveLength(1)
  })

  it('a publisher appends with an expected sequence, and says nothing about events of others', async () => {
    const { store } = await createTestDatabase({ server })
    const events = createEventStore({ store, registry: createRegistry([added]) })
    onTestFinished(() => events.close())
    const add = (sku: string) => [{ type: 'item.added', data: { sku } }]
    expect(await events.append('cart/1', 0, add('a'))).toMatchObject({ sequence: 1n })
    await as(store, 'evt_publisher', async (sql) => {
      expect(await events.append('cart/1', 1, [...add('b'), ...add('c')], sql)).toMatchObject({ sequence: 3n })
      await expect(events.append('cart/1', 1, add('d'), sql)).rejects.toMatchObject({ code: 'conflict' })
      expect(await events.append('cart/1', 'any', add('e'), sql)).toMatchObject({ sequence: 4n })
    })
    expect((await store.query('select sequence::int from evt.streams')).rows).toEqual([{ sequence: 1 }])
    const nulls = Array(19).fill('null').with(6, "'{cart/1}'").with(7, "'{7}'").join(', ')
    const forged = [
      'select from evt.streams',
      "insert into evt.streams values ('cart/1', 2, 'default', current_date, '1', 1)",
      `select evt.append_events(${nulls})`,
    ]
    for (const statement of forged)
      await expect(as(store, 'evt_publisher', (sql) => sql.query(statement))).rejects.toThrow(
        /permission denied|it does not end there/,
      )
    await expect(as(store, 'evt_reader', (sql) => sql.query("select evt.enter_stream('x')"))).rejects.toMatchObject(
      denied,
    )
  })

  it('a reader reads every table and partition and writes nothing', async () => {
    const { store } = await createTestDatabase({ server })
    await store.query(publish)
    const { rows } = await as(store, 'evt_reader', (sql) => sql.query('select type from evt.outbox'))
    expect(rows).toEqual([{ type: 'user.created' }])
    const { rows: tables } = await store.query(
      "select format('evt.%I', relname) as name from pg_class where relnamespace = 'evt'::regnamespace and relkind in ('r', 'p')",
    )
    await as(store, 'evt_reader', async (sql) => {
      for (const { name } of tables) await sql.query(`select from ${name} limit 1`)
    })
    for (const secret of ['wrapped from evt.subject_keys', 'hash from evt.tokens', 'target from evt.alert_notices'])
      await expect(as(store, 'evt_reader', (sql) => sql.query(`select ${secret}`))).rejects.toMatchObject(denied)
    await as(store, 'evt_reader', async (sql) => void (await listTokens(sql)))
    const take = `select evt.take_subject_keys(array[''], array['x'], array[gen_random_uuid()], 'm', array['\\x00'::bytea])`
    await expect(as(store, 'evt_reader', (sql) => sql.query(take))).rejects.toMatchObject(denied)
    for (const statement of [publish, 'delete from evt.dead_letters', "select nextval('evt.outbox_seq')"]) {
      await expect(as(store, 'evt_reader', (sql) => sql.query(statement))).rejects.toMatchObject(denied)
    }
  })

  it('an operator works on the state of handling and cannot rewrite what was committed', async () => {
    const { store } = await createTestDatabase({ server })
    await as(store, 'evt_operator', (sql) => sql.query('delete from evt.dead_letters'))
    await store.query(
      'select evt.make_partitions(evt.today() + 15, evt.today() + 15), evt.make_log_chunk(7), evt.grant_roles()',
    )
    const { rows: leaves } = await store.query(
      `select relid::regclass::text as name from pg_partition_tree('evt.outbox') where level > 0
       union all select relid::regclass::text from pg_partition_tree('evt.log') where level > 0`,
    )
    for (const statement of [
      "update evt.outbox set type = 'x'",
      'delete from evt.log',
      'truncate evt.outbox',
      'drop table evt.dead_letters',
      'delete from evt.migrations',
      ...leaves.map(({ name }) => `delete from ${name}`),
      ...leaves.map(({ name }) => `insert into ${name} default values`),
    ]) {
      await expect(as(store, 'evt_operator', (sql) => sql.query(statement))).rejects.toMatchObject({ code: 'connect' })
    }
  })

  it('partitions that are made later are as readable as those before', async () => {
    const { store } = await createTestDatabase({ server })
    await store.query('select evt.make_partitions(evt.today() + 15, evt.today() + 16)')
    const { rows } = await store.query(
      "select format('evt.%I', relname) as name from pg_class where relnamespace = 'evt'::regnamespace and relkind = 'r' and relname ~ '^outbox_default_'",
    )
    await as(store, 'evt_reader', async (sql) => {
      for (const { name } of rows) await sql.query(`select from ${name}`)
    })
  })

  it('without CREATEROLE migrating goes on, and says which roles an administrator has to make', async () => {
    const fresh = await startPrivateServer({ version: server })
    onTestFinished(() => fresh.stop())
    const admin = await openStore(fresh.url, { applicationName: 'evt test', max: 2 })
    await admin.query("create role plain login password 'x'")
    await admin.query('create database owned owner plain')
    const url = fresh.url.replace('postgres:evt@', 'plain:x@').replace(/postgres$/, 'owned')
    await migrateUp(url)
    const all = ['evt_publisher', 'evt_reader', 'evt_operator']
    expect((await migrationStatus(url)).missingRoles).toEqual(all)
    for (const role of all) await admin.query(`create role ${role}`)
    await admin.close()
    const plain = await openStore(url, { applicationName: 'evt test' })
    onTestFinished(() => plain.close())
    await plain.query('select evt.grant_roles()')
    const { rows } = await plain.query("select has_table_privilege('evt_reader', 'evt.log', 'select') as reads")
    expect(rows).toEqual([{ reads: true }])
    expect((await migrationStatus(plain)).missingRoles).toEqual([])
  })

  it('a role that is no superuser can migrate its own database, capture and write', async () => {
    const { store, url } = await createTestDatabase({ server, schema: 'empty' })
    const owner = `owner_${server}_${Date.now()}`
    await store.query(`create role ${owner} login password 'x'`)
    await store.query(
      `do $$ begin execute format('grant create on database %I to ${owner}', current_database()); end $$`,
    )
    const own = new URL(url)
    own.username = owner
    own.password = 'x'
    const owned = await openStore(own.href, { applicationName: 'evt test' })
    try {
      expect((await migrateUp(owned)).length).toBeGreaterThan(0)
      await owned.query('create schema app; create table app.users (id int primary key)')
      await addCapture(owned, { table: 'app.users' })
      await owned.query('insert into app.users values (1)')
      expect((await owned.query('select type from evt.outbox')).rows).toEqual([{ type: 'user.created' }])
    } finally {
      await owned.close()
      await store.query(`drop owned by ${owner}; drop role ${owner}`)
    }
  })

  it('stand in the script of all migrations', async () => {
    const script = await migrationSql()
    for (const role of ['evt_publisher', 'evt_reader', 'evt_operator']) expect(script).toContain(role)
  })
})
