import { randomUUID } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import {
  createBridge,
  createPublisher,
  createRegistry,
  defineEvent,
  defineHandler,
  defineService,
} from '../src/index.ts'
import { openStore } from '../src/store/connection.ts'
import { childrenOf } from '../src/store/embedded/process.ts'
import { migrateUp } from '../src/store/migrate.ts'
import { createTestDatabase } from './setup/database.ts'
import { type PrivateServer, startPrivateServer } from './setup/private-server.ts'
import { until } from './setup/until.ts'

const created = defineEvent('user.created', { 1: z.object({ name: z.string() }) })
const welcomed = defineEvent('user.welcomed', { 1: z.object({ name: z.string() }) })

const service = defineService({
  name: 'greeter',
  contracts: [created, welcomed],
  migrations: [
    'create schema if not exists greeter',
    'create table if not exists greeter.seen (n bigint generated always as identity, type text, name text)',
  ],
  handlers: [
    defineHandler({
      name: 'greeter.welcome',
      on: [created],
      start: 'earliest',
      async handle(event, { sql, publish }) {
        await sql`insert into greeter.seen (type, name) values (${event.type}, ${event.data.name})`
        await publish({ type: 'user.welcomed', data: { name: event.data.name } })
      },
    }),
    defineHandler({
      name: 'greeter.notice',
      on: [welcomed],
      start: 'earliest',
      async handle(event, ctx) {
        await ctx.sql`insert into greeter.seen (type, name) values (${event.type}, ${`${event.data.name} ${event.causationId ? 'caused' : ''}`})`
      },
    }),
  ],
})

describe('a bridge', () => {
  it('carries what was committed to handlers, what they publish to others, and is seen while it runs', async () => {
    const { store, url } = await createTestDatabase()
    const bridge = createBridge({ store: url, services: [service], instance: `it-${randomUUID()}` })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    const publisher = createPublisher({
      store: url,
      registry: createRegistry([created]),
      source: 'test',
    })
    onTestFinished(() => publisher.close())
    const lost = store.transaction(async (sql) => {
      await publisher.publish(sql, [{ type: 'user.created', data: { name: 'nobody' } }])
      throw new Error('rolled back')
    })
    await expect(lost).rejects.toThrow('rolled back')
    await publisher.publishAll([{ type: 'user.created', data: { name: 'Ada' } }])
    await until(async () => (await store.query('select * from greeter.seen')).rows.length === 2)
    expect((await store.query('select type, name from greeter.seen order by n')).rows).toEqual([
      { type: 'user.created', name: 'Ada' },
      { type: 'user.welcomed', name: 'Ada caused' },
    ])
    expect(bridge.stats().handlers.map(({ handler, handled }) => [handler, handled])).toEqual([
      ['greeter.welcome', 1],
      ['greeter.notice', 1],
    ])
    expect((await store.query('select instance, stopped_at from evt.instances')).rows).toEqual([
      { instance: bridge.instance, stopped_at: null },
    ])
    await bridge.stop()
    expect((await store.query('select stopped_at is not null as stopped from evt.instances')).rows).toEqual([
      { stopped: true },
    ])
    // Backends take a moment to go after their client has left.
    const left = `select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
      and application_name not in ('evt test', 'evt publisher test')`
    await until(async () => (await store.query(left)).rows.length === 0)
  })

  it('says what to do when the schema is missing, and leaves nothing running', async () => {
    const { store, url } = await createTestDatabase({ schema: 'empty' })
    await expect(createBridge({ store: url, services: [service] }).start()).rejects.toMatchObject({
      code: 'migrations',
      hint: expect.stringContaining('evt migrate up'),
    })
    const own = `select from pg_stat_activity where datname = current_database() and application_name like 'evt bridge%'`
    await until(async () => (await store.query(own)).rows.length === 0, { what: 'its connections closed' })
  })

  it('stops soon after its grace although another process froze in the middle of its events', async () => {
    const { store, url } = await createTestDatabase()
    const bridge = createBridge({ store: url, services: [service], grace: '200ms' })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    let thaw = () => {}
    const event = { id: 'frozen', type: 'user.created', data: { name: 'Ada' } }
    const frozen = store.transaction(async (sql) => {
      await sql.query(
        `insert into evt.inbox (handler, event_id, day) values ('greeter.welcome', $1, (now() at time zone 'UTC')::date)`,
        [event.id],
      )
      await new Promise<void>((resolve) => (thaw = resolve))
    })
    onTestFinished(async () => {
      thaw()
      await frozen
    })
    const registry = createRegistry([created])
    const publisher = createPublisher({ store: url, registry, source: 'test' })
    onTestFinished(() => publisher.close())
    await publisher.publishAll([event])
    const waits = `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`
    await until(async () => (await store.query(waits)).rows.length > 0)
    const began = performance.now()
    await bridge.stop()
    expect(performance.now() - began).toBeLessThan(15_000)
  })

  it('refuses two handlers of one name', async () => {
    const { url } = await createTestDatabase()
    const handlers = [service.handlers[0], service.handlers[0]].flatMap((one) => one ?? [])
    await expect(createBridge({ store: url, handlers, services: [] }).start()).rejects.toMatchObject({ code: 'config' })
  })
})

/** Neither the server nor one of its sessions answers, and none of them is gone. */
async function freeze(server: PrivateServer): Promise<void> {
  const all = [server.pid, ...childrenOf(server.pid)]
  for (const pid of all) process.kill(pid, 'SIGSTOP')
  onTestFinished(() => {
    for (const pid of all) process.kill(pid, 'SIGCONT')
  })
}

async function startServer(): Promise<PrivateServer> {
  const server = await startPrivateServer({ version: 18 })
  onTestFinished(() => server.stop())
  await migrateUp(server.url)
  return server
}

/** Of this process, to the outside and to its local sockets; those that are only being closed do not count. */
const openSockets = () =>
  process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap' || name === 'PipeWrap').length

describe('a bridge whose server does not answer', () => {
  it.each(['all of it', 'new connections'])('stops soon after its grace: %s', async (what) => {
    const server = await startServer()
    const said: string[] = []
    const say = (message: string, fields?: object) => void said.push(`${message} ${JSON.stringify(fields)}`)
    const log = { debug() {}, info() {}, warn: say, error: say }
    const bridge = createBridge({ store: server.url, services: [service], grace: '500ms', log })
    await bridge.start()
    const before = openSockets()
    if (what === 'all of it') await freeze(server)
    else await server.kill('SIGSTOP')
    onTestFinished(() => server.kill('SIGCONT'))
    const began = performance.now()
    await bridge.stop()
    expect(performance.now() - began).toBeLessThan(15_000)
    await until(() => openSockets() < before)
  })

  it('ends a start that gets no answer', async () => {
    const server = await startServer()
    const store = await openStore(server.url, { applicationName: 'evt test', max: 1 })
    onTestFinished(() => store.close())
    await freeze(server)
    const bridge = createBridge({ store, services: [service], grace: '500ms' })
    const started = bridge.start()
    const refused = expect(started).rejects.toMatchObject({ code: 'interrupted' })
    const began = performance.now()
    await bridge.stop()
    await refused
    expect(performance.now() - began).toBeLessThan(10_000)
  })
})

describe('a bridge whose schema is dropped', () => {
  it('says so and what to do, and stops soon after its grace', async () => {
    const { store, url } = await createTestDatabase()
    const said: { message: string; fields?: object | undefined }[] = []
    const say = (message: string, fields?: object) => void said.push({ message, fields })
    const log = { debug() {}, info() {}, warn: say, error: say }
    const bridge = createBridge({ store: url, services: [service], grace: '500ms', log })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    const publisher = createPublisher({ store: url, registry: createRegistry([created]), source: 'test' })
    onTestFinished(() => publisher.close())
    await publisher.publishAll([{ type: 'user.created', data: { name: 'Ada' } }])
    await until(async () => (await store.query('select from greeter.seen')).rows.length === 2, { what: 'two lanes' })
    // It may deadlock with what runs.
    const drop = async () => store.query('drop schema evt cascade').then(() => true)
    await until(() => drop().catch(() => false), { what: 'the schema dropped' })
    const hinted = () => said.filter(({ fields = {} }) => JSON.stringify(fields).includes('run `evt migrate up`'))
    await until(() => hinted().some(({ message }) => message === 'something fails under the handlers'))
    await until(() => hinted().some(({ message }) => message.startsWith('cannot use ')), { what: 'the relay' })
    // Lanes are tried again and again: each try ends the connection that it opened.
    const open = `select pid from pg_stat_activity where datname = current_database() and application_name = 'evt lanes'`
    const pids = new Set<unknown>()
    await until(
      async () => {
        const { rows } = await store.query(open)
        for (const { pid } of rows) pids.add(pid)
        expect(rows.length).toBeLessThanOrEqual(1)
        return pids.size > 3
      },
      { what: 'several tries', withinMs: 15_000 },
    )
    const began = performance.now()
    await bridge.stop()
    expect(performance.now() - began).toBeLessThan(15_000)
  })
})
