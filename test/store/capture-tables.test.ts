import { expect, it } from 'vitest'
import { addCapture, listCaptures, removeCapture } from '../../src/store/capture.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { capturedEvents, capturedTypes, usersTable } from './captured-events.ts'

describeServers('a captured table', (server) => {
  it('is captured as a whole or by its partitions, never twice', async () => {
    const { store } = await createTestDatabase({ server })
    await store.query(`create table orders (id int primary key) partition by range (id);
      create table orders_1 partition of orders for values from (0) to (10) partition by range (id);
      create table "orders 1a" partition of orders_1 for values from (0) to (5)`)
    await addCapture(store, { table: 'orders' })
    for (const table of ['orders_1', '"orders 1a"']) {
      await expect(addCapture(store, { table }), table).rejects.toMatchObject({
        code: 'usage',
        message: expect.stringContaining('it is a partition of public.orders'),
        hint: 'change that: evt capture add public.orders',
      })
    }
    await removeCapture(store, 'orders')
    await addCapture(store, { table: '"orders 1a"' })
    await expect(addCapture(store, { table: 'orders' })).rejects.toMatchObject({
      code: 'usage',
      hint: 'first: evt capture remove public."orders 1a"',
    })
    await expect(addCapture(store, { table: '"orders 1a"', mode: 'statement' })).rejects.toMatchObject({
      code: 'usage',
      hint: 'use --mode row',
    })
    await store.query('insert into orders values (1)')
    expect(await capturedEvents(store)).toHaveLength(1)
  })

  it.each(['pg_class', 'information_schema.sql_features', 'evt.outbox', 'pg_temp.mine', 'a.b.c'])(
    "is none of those that are not the application's: %s",
    async (table) => {
      const { store } = await createTestDatabase({ server, max: 1 })
      await store.query('create temporary table mine (id int primary key)')
      await expect(addCapture(store, { table })).rejects.toMatchObject({ code: 'usage' })
    },
  )

  it('has a name that SQL can read, also where it is to be removed', async () => {
    const { store } = await createTestDatabase({ server })
    await expect(removeCapture(store, 'a..b')).rejects.toMatchObject({ code: 'usage', hint: expect.any(String) })
  })

  it.each(['row', 'statement'] as const)('may have columns of every kind, per %s', async (mode) => {
    const { store } = await createTestDatabase({ server })
    await store.query("create type mood as enum ('sad', 'ok')")
    await store.query('create domain short as text check (length(value) < 9)')
    await store.query('create type pair as (a int, j json)')
    await store.query(`create table things (
      id uuid primary key, tags text[], m mood, raw bytea, doc json, docb jsonb, at timestamptz, day date, price numeric(10, 2),
      place point, spans int4range, word short, both_ pair, docs json[], twice int generated always as (n * 2) stored, n int)`)
    await addCapture(store, { table: 'things', mode })
    const id = '00000000-0000-7000-8000-000000000001'
    await store.query(
      `insert into things (id, tags, m, raw, doc, docb, at, day, price, place, spans, word, both_, docs, n) values
       ($1, '{a,"b c",null}', 'ok', '\\xdead', '{"k": [1]}', '{"k": null}', '2026-01-02T03:04:05Z', '2026-01-02', 1.50,
        '(1,2)', '[1,5)', 'hi', row(1, '{}'), array['{}'::json], 21), ('00000000-0000-7000-8000-000000000002',
        null, null, null, null, null, null, null, null, null, null, null, null, null, null)`,
      [id],
    )
    await store.query(`update things set doc = '{"k": [2]}', place = '(1,3)', n = 4, docs = null where id = $1`, [id])
    await store.query("update things set doc = doc, place = place, tags = tags, m = 'ok' where id = $1", [id])
    const [full, empty, changed, ...rest] = await capturedEvents(store)
    expect(full?.data).toEqual({
      thing_id: id,
      thing_data: {
        id,
        tags: ['a', 'b c', null],
        m: 'ok',
        raw: '\\xdead',
        doc: { k: [1] },
        docb: { k: null },
        at: expect.stringMatching(/^2026-01-0\dT/),
        day: '2026-01-02',
        price: 1.5,
        place: '(1,2)',
        spans: '[1,5)',
        word: 'hi',
        both_: { a: 1, j: {} },
        docs: [{}],
        twice: 42,
        n: 21,
      },
    })
    expect(Object.values(empty?.data.thing_data ?? {}).filter((value) => value !== null)).toHaveLength(1)
    expect(changed?.data.changes).toEqual(['doc', 'place', 'docs', 'twice', 'n'])
    expect(rest).toEqual([])
  })

  it.each(['row', 'statement'] as const)(
    'may have a thousand columns, and JSON of a thousand keys, per %s',
    async (mode) => {
      const { store } = await createTestDatabase({ server })
      const names = Array.from({ length: 1000 }, (_, n) => `c${n}`)
      await store.query(`create table wide (id int primary key, doc json, ${names.map((name) => `${name} int`)})`)
      await addCapture(store, { table: 'wide', mode })
      const doc = Object.fromEntries(names.map((name, n) => [name, n]))
      await store.query('insert into wide (id, doc, c999) values (1, $1, 7)', [JSON.stringify(doc)])
      await store.query('update wide set c998 = 8')
      const [made, changed] = await capturedEvents(store)
      const nulls = Object.fromEntries(names.map((name) => [name, null]))
      expect(made?.data.wide_data).toEqual({ ...nulls, id: 1, doc, c999: 7 })
      expect(changed?.data.changes).toEqual(['c998'])
    },
  )

  it('makes no event of what a session writes as a replica', async () => {
    const { store } = await createTestDatabase({ server })
    await store.query(usersTable)
    await addCapture(store, { table: 'users' })
    await store.transaction(async (sql) => {
      await sql.query('set local session_replication_role = replica')
      await sql.query(`insert into users (email) values ('silent')`)
    })
    await store.query(`insert into users (email) values ('heard')`)
    expect(await capturedTypes(store)).toEqual(['user.created'])
    expect((await listCaptures(store)).map(({ state }) => state)).toEqual(['active'])
  })

  it.each(['row', 'statement'] as const)('may have odd names and lie in another schema, per %s', async (mode) => {
    const { store } = await createTestDatabase({ server })
    await store.query('create schema "Odd ""Schema"')
    const table = `"Odd ""Schema"."Ta'ble.x"`
    await store.query(
      `create table ${table} ("I'd" int, "k""2" text, "new" int, "select" text, "Größe" int, primary key ("I'd", "k""2"))`,
    )
    await addCapture(store, { table, entity: 'odd', mode, mask: ['select'] })
    await store.query(`insert into ${table} values (1, 'x/y', 2, 'hidden', 3)`)
    await store.query(`update ${table} set "new" = 5, "Größe" = 6`)
    const row = { "I'd": 1, 'k"2': 'x/y', new: 2, select: '***', Größe: 3 }
    expect(await capturedEvents(store)).toEqual([
      { type: 'odd.created', subject: 'odd/1/x/y', data: { odd_id: { "I'd": 1, 'k"2': 'x/y' }, odd_data: row } },
      {
        type: 'odd.updated',
        subject: 'odd/1/x/y',
        data: {
          odd_id: { "I'd": 1, 'k"2': 'x/y' },
          odd_data: { ...row, new: 5, Größe: 6 },
          changes: ['new', 'Größe'],
        },
      },
    ])
    expect(await listCaptures(store)).toMatchObject([{ schema: 'Odd "Schema', table: "Ta'ble.x", state: 'active' }])
    expect(await removeCapture(store, table)).toBe(true)
  })

  it.each(['row', 'statement'] as const)(
    'may have more columns than a function has arguments, per %s',
    async (mode) => {
      const { store } = await createTestDatabase({ server })
      const names = Array.from({ length: 240 }, (_, i) => `c${i}`)
      await store.query(`create table wide (id int primary key, ${names.map((name) => `${name} int`).join(', ')})`)
      await addCapture(store, { table: 'wide', mode, exclude: ['c7'] })
      await store.query('insert into wide (id, c0, c239) values (1, 10, 20)')
      await store.query('update wide set c1 = 1, c150 = 2, c7 = 3')
      const [created, updated] = await capturedEvents(store)
      expect(created?.data.wide_data).toMatchObject({ c0: 10, c1: null, c239: 20 })
      expect(Object.keys(created?.data.wide_data ?? {})).toHaveLength(240)
      expect(updated?.data.changes).toEqual(['c1', 'c150'])
    },
  )

  it('may be partitioned; a row that moves between partitions is deleted and created', async () => {
    const { store } = await createTestDatabase({ server })
    await store.query(
      'create table visits (id int, place text, n int, primary key (id, place)) partition by list (place)',
    )
    await store.query("create table visits_a partition of visits for values in ('a')")
    await store.query("create table visits_b partition of visits for values in ('b')")
    await addCapture(store, { table: 'visits' })
    await store.query("insert into visits values (1, 'a', 0)")
    await store.query("insert into visits_b values (2, 'b', 0)")
    await store.query('update visits set n = 1 where id = 1')
    await store.query("update visits set place = 'b' where id = 1")
    const seen = (await capturedEvents(store)).map(({ type, subject }) => `${type} ${subject}`)
    expect(seen.slice(0, 3)).toEqual(['visit.created visit/1/a', 'visit.created visit/2/b', 'visit.updated visit/1/a'])
    expect(seen.slice(3).sort()).toEqual(['visit.created visit/1/b', 'visit.deleted visit/1/a'])
    await expect(addCapture(store, { table: 'visits', mode: 'statement' })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('writes that name a partition would be missed'),
    })
  })

  it('tells a plain channel too when asked, and refers to what NOTIFY cannot carry', async () => {
    for (const mode of ['row', 'statement'] as const) {
      const { store } = await createTestDatabase({ server })
      await store.query(usersTable)
      await addCapture(store, { table: 'users', mode, channel: 'user_events', exclude: ['password_hash'] })
      const client = await store.pool.connect()
      const heard: Record<string, unknown>[] = []
      client.on('notification', ({ channel, payload }) => heard.push({ channel, ...JSON.parse(payload ?? '{}') }))
      await client.query('listen user_events')
      await store.query("insert into users (email) values ('a@example.com')")
      await store.query("insert into users (email) values (repeat('x', 9000))")
      await until(() => heard.length === 2, { what: 'two notifications' })
      client.release(true)
      expect(heard[0]).toMatchObject({
        channel: 'user_events',
        event_type: 'user.created',
        event_id: expect.any(String),
        user_id: 1,
        user_data: { email: 'a@example.com' },
        timestamp: expect.any(String),
      })
      expect(heard[1]).toMatchObject({ event_type: 'user.created', event_id: expect.any(String) })
      expect(heard[1]).not.toHaveProperty('user_data')
    }
  })

  it.each(['row', 'statement'] as const)('per %s, wakes a relay that sleeps, and only then', async (mode) => {
    const { store } = await createTestDatabase({ server })
    await store.query(usersTable)
    await addCapture(store, { table: 'users', mode })
    const client = await store.pool.connect()
    const heard: string[] = []
    client.on('notification', ({ channel }) => heard.push(channel))
    await client.query('listen evt_wake; listen done')
    const write = (parked: 1 | 2) =>
      store.transaction(async (sql) => {
        await sql.query(`select setval('evt.parked', ${parked}), set_config('evt.notify', 'on', true)`)
        await sql.query("insert into users (email) values ('a'); notify done")
      })
    await write(1)
    await write(2)
    await until(() => heard.filter((channel) => channel === 'done').length === 2)
    client.release(true)
    expect(heard).toEqual(['done', 'evt_wake', 'done'])
  })

  it('notifies nobody unless asked', async () => {
    const { store } = await createTestDatabase({ server })
    await store.query(usersTable)
    const statements = await addCapture(store, { table: 'users' })
    expect(statements.join('\n')).not.toMatch(/notify/i)
  })
})

describeServers('capturing', (server) => {
  it.each([
    [{ table: 'nowhere' }, /there is no such table/],
    [{ table: 'a.b.c.d' }, /it is no table name|there is no such table/],
    [{ table: 'some_view' }, /it is not a table/],
    [{ table: 'users', exclude: ['nix'] }, /--exclude nix: there is no such column/],
    [{ table: 'users', exclude: ['id'] }, /id is shown in the event/],
    [{ table: 'users', mask: ['id'] }, /id is shown in the event/],
    [{ table: 'keyless' }, /it has no primary key/],
    [{ table: 'keyless', subject: ['a'], mode: 'statement' as const }, /matched by the primary key/],
    [{ table: 'users', class: 'nix' }, /there is no such class/],
    [{ table: 'users', entity: 'User!' }, /names are lower-case words/],
    [{ table: 'users', entity: 'x'.repeat(248) }, /as entity: its events' types are longer than 255 characters/],
    [{ table: 'users', rules: [{ when: { column: 'name', to: 1 }, type: 'a b' }] }, /names are lower-case words/],
    [{ table: 'users', rules: [{ when: { column: 'name', to: 1 }, type: '' }] }, /names are lower-case words/],
    [
      { table: 'users', rules: [{ when: { column: 'name', to: 1 }, type: 'x'.repeat(256) }] },
      /as type: its events' types are longer than 255/,
    ],
    [{ table: 'users', rules: [{ when: { column: 'x', to: 1 }, type: 'a.b' }] }, /rule on x: there is no such column/],
  ])('refuses %j', async (options, message) => {
    const { store } = await createTestDatabase({ server })
    await store.query(`${usersTable}; create table keyless (a int); create view some_view as select 1 as one`)
    await expect(addCapture(store, options)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(message),
    })
    expect(await listCaptures(store)).toEqual([])
  })

  it('takes a subject where there is no primary key', async () => {
    const { store } = await createTestDatabase({ server })
    await store.query('create table readings (sensor text, value int)')
    await addCapture(store, { table: 'readings', subject: ['sensor'] })
    await store.query("insert into readings values ('s1', 1)")
    expect(await capturedEvents(store)).toMatchObject([{ type: 'reading.created', subject: 'reading/s1' }])
  })

  it('gives up behind a writer that holds the table, and holds nobody up for longer', async () => {
    const { store } = await createTestDatabase({ server })
    await store.query(usersTable)
    await store.transaction(async (sql) => {
      await sql.query("insert into users (email) values ('a')")
      await expect(addCapture(store, { table: 'users' }, { lockTimeoutMs: 100 })).rejects.toMatchObject({
        code: 'timeout',
      })
    })
    expect(await capturedTypes(store)).toEqual([])
  })
})
