import { connect, createServer, type Socket } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { EvtError } from '../../src/core/errors.ts'
import { openStore, placeOf } from '../../src/store/connection.ts'
import { translateError } from '../../src/store/errors.ts'
import { openReading } from '../../src/store/reading.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { startPrivateServer } from '../setup/private-server.ts'
import { hasServer, serverUrl } from '../setup/shared-servers.ts'
import { until } from '../setup/until.ts'

const options = { applicationName: 'evt test' }

for (const name of ['redis', 'kafka', 'rabbitmq'] as const) {
  it.skipIf(!hasServer(name))(`names ${name} where that answers in place of PostgreSQL`, async () => {
    const { host } = new URL((await serverUrl(name)).replace(/^\w+:/, 'http:'))
    // Two of them say nothing to who speaks Postgres.
    await expect(openStore(`postgres://u:p@${host}/x`, { ...options, connectTimeoutMs: 500 })).rejects.toMatchObject({
      code: 'connect',
      message: expect.stringMatching(new RegExp(`: at ${host}, it looks like ${name}$`, 'i')),
    })
  })
}

describeServers('a store', (server) => {
  it('knows the version of its server and shows its URL without the password', async () => {
    const { store, url } = await createTestDatabase({ server })
    expect(Math.floor(store.serverVersion / 10_000)).toBe(server)
    expect(store.url).not.toContain(`:${new URL(url).password}@`)
    expect(store.connectionString).toBe(url)
  })

  it('commits what resolves and rolls back what throws, with the error as it was', async () => {
    const { store } = await createTestDatabase({ server, schema: 'empty' })
    await store.query('create table t (n int)')
    expect(await store.transaction((sql) => sql.query('insert into t values (1)').then(() => 'done'))).toBe('done')
    const mine = new Error('mine')
    const failing = store.transaction(async (sql) => {
      await sql.query('insert into t values (2)')
      throw mine
    })
    await expect(failing).rejects.toBe(mine)
    expect((await store.query('select n from t')).rows).toEqual([{ n: 1 }])
  })

  it('leaves errors of the application as PostgreSQL gave them', async () => {
    const { store } = await createTestDatabase({ server, schema: 'empty' })
    await store.query('create table t (n int primary key)')
    const twice = store.query('insert into t values (1), (1)')
    await expect(twice).rejects.toMatchObject({ code: '23505' })
    await expect(store.query('select * from missing')).rejects.toMatchObject({ code: '42P01' })
  })

  it('says that migrations are missing where evt is asked for and is not there', async () => {
    const { store } = await createTestDatabase({ server, schema: 'empty' })
    await expect(store.query('select * from evt.outbox')).rejects.toMatchObject({
      code: 'migrations',
      hint: 'run `evt migrate up`',
    })
  })

  it('survives that its sessions are ended, between statements and inside a transaction', async () => {
    const { store } = await createTestDatabase({ server, schema: 'empty', max: 2 })
    const end =
      'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()'
    const cut = store.transaction(async (sql) => {
      await sql.query('select 1')
      await store.query(end)
      await sql.query('select 2')
    })
    await expect(cut).rejects.toMatchObject({
      code: 'connect',
      message: expect.stringContaining('the connection was lost'),
    })
    expect((await store.query('select 3 as n')).rows).toEqual([{ n: 3 }])
  })

  it('says who may not, and names a role to grant', async () => {
    const { store } = await createTestDatabase({ server })
    const asPublisher = store.transaction(async (sql) => {
      await sql.query('set local role evt_publisher')
      await sql.query('select * from evt.log')
    })
    await expect(asPublisher).rejects.toMatchObject({ code: 'connect', hint: expect.stringContaining('evt_reader') })
  })

  it('refuses a wrong password, a missing database and a user that is none, naming host and database', async () => {
    const { url } = await createTestDatabase({ server, schema: 'empty' })
    const change = (part: 'password' | 'pathname', value: string) => {
      const changed = new URL(url)
      changed[part] = value
      return changed.href
    }
    await expect(openStore(change('password', 'hunter2'), options)).rejects.toSatisfy(
      (error) =>
        error instanceof EvtError && error.code === 'connect' && !`${error.message}${error.hint}`.includes('hunter2'),
    )
    await expect(openStore(change('pathname', '/nowhere'), options)).rejects.toMatchObject({
      code: 'connect',
      message: expect.stringMatching(/there is no database nowhere at 127\.0\.0\.1:\d+/),
      hint: 'create it: createdb nowhere',
    })
  })

  it('asks for the password that the URL has not', async () => {
    const { url } = await createTestDatabase({ server, schema: 'empty' })
    const without = new URL(url)
    without.password = ''
    await expect(openStore(without.href, options)).rejects.toMatchObject({
      code: 'connect',
      message: expect.stringContaining('wants a password for user postgres'),
    })
    const { store } = await createTestDatabase({ server, schema: 'empty' })
    const waiting = async () =>
      (
        await store.query(
          "select from pg_stat_activity where query = '' and state is null and backend_type = 'client backend'",
        )
      ).rows.length
    await until(async () => (await waiting()) === 0)
  })

  it('throws closed after close, which may be called twice', async () => {
    const { url } = await createTestDatabase({ server, schema: 'empty' })
    const store = await openStore(url, options)
    await Promise.all([store.close(), store.close()])
    await expect(store.query('select 1')).rejects.toMatchObject({ code: 'closed' })
    await expect(store.transaction(async () => {})).rejects.toMatchObject({ code: 'closed' })
  })
})

it('a store works again after its server was killed and came back on the same port', async () => {
  const server = await startPrivateServer({ version: 18 })
  onTestFinished(() => server.stop())
  const store = await openStore(server.url, options)
  onTestFinished(() => store.close())
  await store.query('create table kept as select 1 as n')
  await server.kill('SIGKILL')
  await expect(store.query('select 1')).rejects.toMatchObject({ code: 'connect' })
  await server.restart()
  expect((await store.query('select n from kept')).rows).toEqual([{ n: 1 }])
})

it('a server that nobody runs, a host that nobody knows and one that never answers are named', async () => {
  const silent = createServer(() => {})
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    silent.close()
  })
  const address = silent.address()
  const port = typeof address === 'object' ? address?.port : 0
  const failing = (url: string) => openStore(url, { ...options, connectTimeoutMs: 300 })
  await expect(failing('postgres://u:secret@127.0.0.1:1/db')).rejects.toMatchObject({
    code: 'connect',
    message: 'cannot connect to postgres://u:***@127.0.0.1:1/db: connection refused (127.0.0.1:1)',
    hint: expect.stringContaining('evt up'),
  })
  await expect(failing('postgres://u@no-such-host.invalid/db')).rejects.toMatchObject({
    code: 'connect',
    message: expect.stringContaining('no-such-host.invalid'),
  })
  await expect(failing(`postgres://u@127.0.0.1:${port}/db`)).rejects.toMatchObject({
    code: 'connect',
    message: expect.stringContaining('no answer'),
  })
})

/** Stands before a server; `cut` makes the connections of now swallow everything, as a network does that is gone. */
async function startProxy(url: string): Promise<{ url: string; cut(): void }> {
  const to = new URL(url)
  const [host, behind] = [to.hostname, Number(to.port)]
  const open = new Set<Socket>()
  const proxy = createServer((near) => {
    const far = connect(behind, host)
    near.on('error', () => far.destroy()).on('close', () => far.destroy())
    far.on('error', () => near.destroy())
    near.pipe(far).pipe(near)
    open.add(near)
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of open) socket.destroy()
    proxy.close()
  })
  const address = proxy.address()
  to.hostname = '127.0.0.1'
  to.port = String(typeof address === 'object' && address?.port)
  const cut = () => {
    for (const socket of open) socket.unpipe().resume()
  }
  return { url: to.href, cut }
}

it('a reader whose connection is half open says so in time, and reads on over another one', async () => {
  const { store, url } = await createTestDatabase({ schema: 'empty' })
  const proxy = await startProxy(url)
  const reading = openReading({ ...store, connectionString: proxy.url }, 'evt test', { answerMs: 300 })
  onTestFinished(() => reading.close())
  expect(await reading.rows('one', 'select 1', [])).toEqual([['1']])
  proxy.cut()
  await expect(reading.rows('one', 'select 1', [])).rejects.toMatchObject({
    code: 'connect',
    message: expect.stringContaining('no answer'),
  })
  expect(await reading.rows('one', 'select 1', [])).toEqual([['1']])
})

it.each(['postgres://u:se/cret@h/db', 'postgres://u:%zz@h/db', 'postgres://%zz:p@h/db'])(
  'a URL that does not read as it was meant shows no part of its password: %s',
  async (url) => {
    const opening = openStore(url, options)
    await expect(opening).rejects.toMatchObject({ code: 'usage', hint: expect.stringContaining('percent-encode') })
    await expect(opening).rejects.not.toThrow(/cret/)
  },
)

it('a local socket at which nothing listens is told as such', async () => {
  await expect(openStore('postgres://u@127.0.0.1:1/db?host=/nowhere', options)).rejects.toMatchObject({
    code: 'connect',
    message: expect.stringContaining('nothing listens at the local socket'),
  })
})

it('a transaction that goes on after a statement has failed is not taken for committed', async () => {
  const { store } = await createTestDatabase()
  const going = store.transaction(async (sql) => {
    await sql.query('select 1/0').catch(() => {})
  })
  await expect(going).rejects.toMatchObject({ code: 'internal', message: expect.stringContaining('rolled back') })
})

it.each(['mysql://u:p@h/db', 'not a url', ''])('%j is refused as no PostgreSQL URL', async (url) => {
  await expect(openStore(url, options)).rejects.toMatchObject({ code: 'usage' })
})

it("SQLSTATEs of evt's own functions become its codes, with their hint", () => {
  const place = placeOf('postgres://u@h/db')
  const raised = Object.assign(new Error('cannot sequence: epoch 3 was replaced'), { code: 'EV001', hint: 'wait' })
  expect(translateError(raised, place)).toMatchObject({ code: 'fenced', message: raised.message, hint: 'wait' })
})
