import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import type { CaptureOptions } from '../../src/store/capture/config.ts'
import { addCapture, captureSql, listCaptures, removeCapture } from '../../src/store/capture.ts'
import type { Store } from '../../src/store/connection.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import type { PostgresVersion } from '../setup/postgres-binaries.ts'
import { capturedEvents, capturedTypes, usersTable } from './captured-events.ts'

async function withUsers(server: PostgresVersion, options: Partial<CaptureOptions> = {}): Promise<Store> {
  const { store } = await createTestDatabase({ server })
  await store.query(usersTable)
  await addCapture(store, { table: 'users', ...options })
  return store
}

const insertAda = "insert into users (email, name) values ('ada@example.com', 'Ada')"

describeServers('capturing a table', (server) => {
  it.each(['row', 'statement'] as const)('makes created, updated and deleted events per %s', async (mode) => {
    const store = await withUsers(server, { mode, exclude: ['password_hash'] })
    await store.query(insertAda)
    await store.query("update users set name = 'Ada L.', email = 'ada@lovelace.org'")
    await store.query('delete from users')
    const before = { id: 1, email: 'ada@example.com', name: 'Ada', is_active: true }
    const after = { ...before, email: 'ada@lovelace.org', name: 'Ada L.' }
    expect(await capturedEvents(store)).toEqual([
      { type: 'user.created', subject: 'user/1', data: { user_id: 1, user_data: before } },
      {
        type: 'user.updated',
        subject: 'user/1',
        data: { user_id: 1, user_data: after, changes: ['email', 'name'] },
      },
      { type: 'user.deleted', subject: 'user/1', data: { user_id: 1, user_data: after } },
    ])
  })

  it.each(['row', 'statement'] as const)('per %s, an update that changes nothing makes no event', async (mode) => {
    const store = await withUsers(server, { mode, exclude: ['password_hash'] })
    await store.query(insertAda)
    await store.query('update users set name = name')
    await store.query("update users set password_hash = 'other'")
    await store.query("update users set name = 'x' where id = 999")
    expect(await capturedTypes(store)).toEqual(['user.created'])
  })

  it.each(['row', 'statement'] as const)(
    'per %s, rules name a change, and the first that fits counts',
    async (mode) => {
      const store = await withUsers(server, {
        mode,
        rules: [
          { when: { column: 'is_active', to: false }, type: 'user.suspended' },
          { when: { column: 'name', from: 'Ada', to: null }, type: 'user.anonymised' },
        ],
      })
      await store.query(insertAda)
      await store.query('update users set is_active = false, name = null')
      await store.query("update users set email = 'x@example.com'")
      await store.query("update users set is_active = true, name = 'Ada'")
      await store.query('update users set name = null')
      expect(await capturedTypes(store)).toEqual([
        'user.created',
        'user.suspended',
        'user.updated',
        'user.updated',
        'user.anonymised',
      ])
    },
  )

  it.each(['row', 'statement'] as const)(
    'per %s, a changed key is one aggregate less and another more',
    async (mode) => {
      const { store } = await createTestDatabase({ server })
      await store.query('create table tags (name text primary key, color text)')
      await addCapture(store, { table: 'tags', mode })
      await store.query("insert into tags values ('a', 'red'), ('b', 'blue')")
      await store.query("update tags set name = 'z' where name = 'a'")
      const events = (await capturedEvents(store)).slice(2).map(({ type, subject }) => `${type} ${subject}`)
      expect(events.sort()).toEqual(['tag.created tag/z', 'tag.deleted tag/a'])
    },
  )

  it.each(['row', 'statement'] as const)(
    'per %s, one statement of a thousand rows makes a thousand events',
    async (mode) => {
      const store = await withUsers(server, { mode })
      await store.query("insert into users (email) select i || '@example.com' from generate_series(1, 1000) i")
      await store.query("update users set name = 'n' || id where id <= 500")
      const { rows } = await store.query(
        `select type, count(*)::int as n, count(distinct id)::int as ids, count(distinct subject)::int as subjects
       from evt.outbox group by type order by type`,
      )
      expect(rows).toEqual([
        { type: 'user.created', n: 1000, ids: 1000, subjects: 1000 },
        { type: 'user.updated', n: 500, ids: 500, subjects: 500 },
      ])
    },
  )

  it('disappears with a rolled-back transaction and a rolled-back savepoint', async () => {
    const store = await withUsers(server)
    await expect(
      store.transaction(async (sql) => {
        await sql.query(insertAda)
        throw new Error('changed my mind')
      }),
    ).rejects.toThrow('changed my mind')
    await store.transaction(async (sql) => {
      await sql.query('savepoint s')
      await sql.query(insertAda)
      await sql.query('rollback to savepoint s')
    })
    expect(await capturedTypes(store)).toEqual([])
  })

  it.each(['row', 'statement'] as const)('takes the context of the transaction, per %s', async (mode) => {
    const store = await withUsers(server, { mode, class: 'audit' })
    const context = { tenant: 't1', correlation_id: 'c1', causation_id: 'e0', user_id: 'u1', session_id: 's1' }
    await store.transaction(async (sql) => {
      for (const [name, value] of Object.entries(context)) {
        await sql.query('select set_config($1, $2, true)', [`evt.${name}`, value])
      }
      await sql.query(insertAda)
    })
    await store.query(insertAda)
    const { rows } = await store.query(
      'select tenant, correlation_id, causation_id, traceparent, user_id, session_id, class, source from evt.outbox order by seq',
    )
    const fixed = { class: 'audit', source: 'capture/public.users', traceparent: null }
    const none = Object.fromEntries(Object.keys(context).map((name) => [name, null]))
    expect(rows).toEqual([
      { ...context, ...fixed },
      { ...none, ...fixed },
    ])
  })

  it('stores the SHA-256 of the bytes of its data', async () => {
    const store = await withUsers(server)
    await store.query('insert into users (email) values (\'größe 🚀 "x" \\ \n\')')
    const { rows } = await store.query('select data::text as text, checksum from evt.outbox')
    expect(rows[0]?.checksum).toBe(createHash('sha256').update(String(rows[0]?.text)).digest('hex'))
    expect(JSON.parse(String(rows[0]?.text)).user_data.email).toBe('größe 🚀 "x" \\ \n')
  })

  it('gives a row above 1 MiB without its columns, saying how many bytes were omitted, and lets the writer go on', async () => {
    for (const mode of ['row', 'statement'] as const) {
      const store = await withUsers(server, { mode })
      await store.query("insert into users (email) values (repeat('x', 2 * 1024 * 1024))")
      const [event] = await capturedEvents(store)
      expect(event?.data).toMatchObject({ user_id: 1, user_data: null })
      expect(event?.data.omitted_bytes).toBeGreaterThan(2 * 1024 * 1024)
    }
  })

  it('masks, renames and lifts columns', async () => {
    const { store } = await createTestDatabase({ server })
    await store.query(
      'create table documents (id int primary key, owner_id int, title text, body text, is_public boolean)',
    )
    await addCapture(store, {
      table: 'documents',
      mask: ['body'],
      rename: { owner_id: 'user_id', is_public: 'visibility' },
      lift: ['owner_id'],
      dataKey: 'document',
    })
    await store.query("insert into documents values (7, 3, 'T', 'secret', false), (8, 3, 'U', null, false)")
    await store.query("update documents set body = 'new secret', is_public = true where id = 7")
    expect((await capturedEvents(store)).map((event) => event.data)).toEqual([
      { document_id: 7, user_id: 3, document: { id: 7, user_id: 3, title: 'T', body: '***', visibility: false } },
      { document_id: 8, user_id: 3, document: { id: 8, user_id: 3, title: 'U', body: null, visibility: false } },
      {
        document_id: 7,
        user_id: 3,
        document: { id: 7, user_id: 3, title: 'T', body: '***', visibility: true },
        changes: ['body', 'visibility'],
      },
    ])
  })

  it('is replaced by adding it again, listed, and removed without the events it made', async () => {
    const store = await withUsers(server)
    await addCapture(store, { table: 'users', entity: 'account', mode: 'statement' })
    await store.query(insertAda)
    expect(await capturedTypes(store)).toEqual(['account.created'])
    expect(await listCaptures(store)).toMatchObject([
      { schema: 'public', table: 'users', entity: 'account', mode: 'statement', state: 'active' },
    ])
    expect(await removeCapture(store, 'public.users')).toBe(true)
    expect(await removeCapture(store, 'users')).toBe(false)
    await store.query(insertAda)
    expect(await capturedTypes(store)).toEqual(['account.created'])
    const { rows } = await store.query("select proname from pg_proc where proname like 'capture\\_public%'")
    expect(rows).toEqual([])
  })

  it('is listed as stale, disabled or missing, and repaired by adding it again', async () => {
    const store = await withUsers(server)
    const state = async () => (await listCaptures(store))[0]?.state
    await store.query('alter table users add column age int')
    expect(await state()).toBe('stale')
    await addCapture(store, { table: 'users' })
    expect(await state()).toBe('active')
    await store.query('alter table users disable trigger evt_capture_update')
    expect(await state()).toBe('disabled')
    await store.query('drop trigger evt_capture_delete on users')
    expect(await state()).toBe('missing')
    await addCapture(store, { table: 'users' })
    expect(await state()).toBe('active')
    await store.query('drop table users cascade')
    expect(await state()).toBe('missing')
    expect(await removeCapture(store, 'users')).toBe(true)
  })

  it.each(['row', 'statement'] as const)('per %s, keeps a captured column from being dropped unseen', async (mode) => {
    const store = await withUsers(server, { mode, exclude: ['password_hash'] })
    await expect(store.query('alter table users drop column name')).rejects.toThrow(/depend/)
    await store.query('alter table users drop column password_hash')
    await store.query(insertAda)
    expect(await capturedTypes(store)).toEqual(['user.created'])
  })

  it('needs no rights of the writer in evt', async () => {
    const store = await withUsers(server)
    const role = `writer_${Date.now()}_${server}`
    await store.query(`create role ${role}; grant insert on users to ${role}`)
    await store.transaction(async (sql) => {
      await sql.query(`set local role ${role}`)
      await sql.query(insertAda)
    })
    expect(await capturedTypes(store)).toEqual(['user.created'])
    await store.query(`drop owned by ${role}; drop role ${role}`)
  })

  it('refuses what would fail the writes of the application: its own tables, values that a column cannot hold', async () => {
    const { store } = await createTestDatabase({ server })
    await store.query(usersTable)
    await expect(addCapture(store, { table: 'evt.outbox' })).rejects.toMatchObject({ code: 'usage' })
    const rules = [{ when: { column: 'is_active', to: 'banana' }, type: 'user.suspended' }]
    await expect(addCapture(store, { table: 'users', rules })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining("is_active is boolean, which 'banana' is not"),
    })
    expect(await listCaptures(store)).toEqual([])
    await store.query(insertAda)
  })

  it.each(['row', 'statement'] as const)(
    'per %s, lets the server compile nothing (JIT), which would take a writer of one row a second',
    async (mode) => {
      const store = await withUsers(server, { mode })
      const client = await store.pool.connect()
      const plans: string[] = []
      client.on('notice', ({ message }) => plans.push(message ?? ''))
      await client.query(`load 'auto_explain'; set client_min_messages = log; set jit = on;
        set auto_explain.log_min_duration = 0; set auto_explain.log_analyze = on; set auto_explain.log_nested_statements = on`)
      await client.query(insertAda)
      await client.query("update users set name = 'Ada L.'")
      await client.query('delete from users')
      client.release(true)
      expect(plans.filter((plan) => /Insert on (evt\.)?outbox/.test(plan)).length).toBeGreaterThanOrEqual(3)
      expect(plans.filter((plan) => plan.includes('JIT:'))).toEqual([])
    },
  )

  it('shows its SQL without changing anything', async () => {
    const { store } = await createTestDatabase({ server })
    await store.query(usersTable)
    const statements = await captureSql(store, { table: 'users' })
    expect(statements.filter((text) => text.startsWith('create or replace function'))).toHaveLength(3)
    expect(await listCaptures(store)).toEqual([])
  })
})
