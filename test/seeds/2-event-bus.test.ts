import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import {
  type Bridge,
  createBridge,
  createEventBus,
  createEventStore,
  createPublisher,
  createRegistry,
  defineHandler,
  defineProjection,
  type Publisher,
  publishersOf,
} from '../../src/index.ts'
import * as say from '../../src/services/accounts/contracts.ts'
import { accounts } from '../../src/services/accounts/service.ts'
import { createTestBus, recordHandler, waitForEvents } from '../../src/testing.ts'
import { startBridge, untilSaga } from '../sagas/running.ts'
import { registers, said, untilSaid } from '../services/accounts/people.ts'
import { createTestDatabase, type TestDatabase } from '../setup/database.ts'
import type { ServerName } from '../setup/server-names.ts'
import { hasServer, serverUrl } from '../setup/shared-servers.ts'
import { until } from '../setup/until.ts'

// The event bus guide, section by section; `map/2-event-bus.ts` names the tests that hold the rest of it.

const registry = createRegistry(accounts.contracts)
const newUser = () => {
  const user_id = randomUUID()
  return {
    user_id,
    email: 'ada@example.com',
    username: user_id,
    roles: ['user'],
    registered_by: 'self_service' as const,
  }
}

const brokers: readonly { type: string; server?: ServerName; env(url: string): Record<string, string> }[] = [
  { type: 'memory', env: () => ({}) },
  { type: 'redis', server: 'redis', env: (url) => ({ REDIS_EVENT_URL: url }) },
  { type: 'kafka', server: 'kafka', env: (url) => ({ KAFKA_BOOTSTRAP_SERVERS: new URL(url).host }) },
  { type: 'rabbitmq', server: 'rabbitmq', env: (url) => ({ RABBITMQ_URL: url }) },
]

describe('Event Bus: one program, and the environment says over what', () => {
  for (const { type, server, env } of brokers) {
    it.skipIf(server && !hasServer(server))(
      `carries UserRegistered to its handler with EVENT_BUS_TYPE=${type}`,
      async () => {
        const topic = `seed2-${randomUUID().slice(0, 8)}`
        const variables = { EVENT_BUS_TYPE: type, ...env(server ? await serverUrl(server) : '') }
        const event_bus = createEventBus({ env: variables, cwd: '/', registry, topic, group: topic, lanes: 2 })
        onTestFinished(() => event_bus.stop())
        await event_bus.start()
        const recorded = recordHandler(
          defineHandler({ name: 'auth.user-registered', on: [say.userRegistered], handle() {} }),
        )
        await event_bus.handle(recorded.handler)
        const event_publisher = publishersOf(event_bus.publish, say)
        const user = newUser()
        expect(await event_publisher.userRegistered(user)).toMatchObject({ state: 'stored' })
        const [result] = await recorded.ended(1, { within: '20s' })
        expect(result).toMatchObject({ state: 'handled', event: { type: 'user.registered', data: user } })
      },
    )
  }
})

describe('Testing: the in-memory bus of the guide', () => {
  it('subscribes a handler, publishes UserRegistered, waits, and finds that the handler was called', async () => {
    await using event_bus = await createTestBus({ registry })
    const called: string[] = []
    await event_bus.subscribe(say.userRegistered, ({ data }) => called.push(data.user_id))
    const user = newUser()
    await event_bus.publish({ type: 'user.registered', data: user })
    await waitForEvents(event_bus, say.userRegistered)
    await until(() => called.length > 0)
    expect(called).toEqual([user.user_id])
  })

  it('refuses what is no UserRegistered, and never throws into who publishes', async () => {
    await using event_bus = await createTestBus({ registry })
    const outcome = await event_bus.publish({ type: 'user.registered', data: { user_id: 'none' } })
    expect(outcome).toMatchObject({ state: 'refused', error: { code: 'contract' } })
  })
})

describe('Event Design', () => {
  it('every type is in the past tense, dotted, and has a version', () => {
    const past = /(ed|login|logout|set|sent|begun|frozen|unfrozen)$/
    for (const { type, version } of say.contracts) {
      expect(type).toMatch(past)
      expect(version).toBeGreaterThanOrEqual(1)
    }
  })
})

describe('with a store', () => {
  let database: TestDatabase
  let bridge: Bridge
  let publisher: Publisher
  const directory = defineProjection({
    name: 'seed2_directory',
    on: [say.userRegistered],
    tables: { people: 'user_id uuid primary key, roles text[] not null' },
    async apply({ data }, { sql }) {
      await sql`insert into people values (${data.user_id}, ${data.roles})`
    },
  })
  const failing = defineHandler({
    name: 'seed2.failing',
    on: [say.userRegistered],
    retry: { attempts: 2, initial: '1ms' },
    handle() {
      throw new Error('the user service is away')
    },
  })
  const rows = async (text: string, ...values: readonly unknown[]) => (await database.store.query(text, values)).rows
  const registered = async () => {
    const event = registers()
    await publisher.publishAll([event])
    return event.data.user_id
  }
  beforeAll(async () => {
    database = await createTestDatabase()
    const seed = { name: 'seed2', contracts: accounts.contracts, handlers: [failing], projections: [directory] }
    bridge = await startBridge(database.url, { services: [accounts, seed], log: silent })
    publisher = createPublisher({ store: database.store, registry, source: 'auth-service' })
  })
  afterAll(async () => {
    await bridge.stop()
    await publisher.close()
    await database[Symbol.asyncDispose]()
  })

  it('User Registration Flow: the five steps happen, each caused by the registration', async () => {
    const user = await registered()
    await untilSaga(database.store, 'accounts.registration', user, 'completed')
    await until(
      async () => (await rows('select from accounts.statuses where user_id = $1 and profile_created', user)).length,
    )
    await until(async () => (await rows('select from accounts.signups where user_id = $1', user)).length)
    const flow = await rows(
      `select type, correlation_id = first_value(id) over (order by seq) as of_it from evt.outbox
       where data ->> 'user_id' = $1 and type in ('user.registered', 'user.profile_created', 'email.welcome_sent') order by seq`,
      user,
    )
    expect(flow[0]).toMatchObject({ type: 'user.registered' })
    expect(
      flow
        .slice(1)
        .map(({ type }) => type)
        .sort(),
    ).toEqual(['email.welcome_sent', 'user.profile_created'])
    expect(flow.slice(1).map(({ of_it }) => of_it)).toEqual([true, true])
  })

  it('GDPR Data Export Flow: all services contribute, a link is made, a mail is sent', async () => {
    const user_id = await registered()
    const export_id = randomUUID()
    await untilSaga(database.store, 'accounts.registration', user_id, 'completed')
    await publisher.publishAll([
      { type: 'user.data_export_requested', subject: `user/${user_id}`, data: { user_id, export_id } },
    ])
    const [done] = await untilSaid(database.store, say.userDataExportCompleted, user_id)
    expect(done?.url).toMatch(/^https:/)
    expect(await said(database.store, 'user.data_export_contributed', user_id)).toHaveLength(4)
    await untilSaid(database.store, say.emailDataExportSent, user_id)
  })

  it("Dead Letter Queue: the guide's own SQL finds what failed, the last one first", async () => {
    const first = await registered()
    await until(async () => (await deadLetters()).some((one) => one.aggregate_id === `user/${first}`))
    const second = await registered()
    await until(async () => (await deadLetters())[0]?.aggregate_id === `user/${second}`)
    const [found] = await deadLetters()
    expect(found).toMatchObject({
      event_name: 'user.registered',
      handler_name: 'seed2.failing',
      error_message: 'the user service is away',
      retry_count: 2,
    })
  })
  const deadLetters = () =>
    rows(`SELECT * FROM event_store.dead_letter_queue
WHERE event_name = 'user.registered'
ORDER BY last_failed_at DESC;`)

  it('Saga failures: their state is in the database', async () => {
    const user = await registered()
    await untilSaga(database.store, 'accounts.registration', user, 'completed')
    const [saga] = await rows('select saga, status from evt.sagas where key = $1', user)
    expect(saga).toEqual({ saga: 'accounts.registration', status: 'completed' })
  })

  it('Audit Trail: what happened to logins is logged, and who was erased is not in it by name', async () => {
    const user = await registered()
    const changed = {
      type: 'auth.password_changed',
      subject: `user/${user}`,
      data: { user_id: user, by: 'user' as const },
    }
    await publisher.publishAll([{ ...changed, actor: { userId: 'support' } }])
    const entry = () => rows('select type, actor, source from accounts.auth_audit where subject = $1', `user/${user}`)
    await until(async () => (await entry()).length > 0)
    expect(await entry()).toEqual([{ type: 'auth.password_changed', actor: 'support', source: 'auth-service' }])
  })

  it('Access Control: the accounts service may subscribe to its own events and those that it names', async () => {
    await using empty = await createTestDatabase()
    const greedy = defineHandler({ name: 'accounts.greedy', on: ['order.*'], handle() {} })
    const start = createBridge({ store: empty.url, services: [{ ...accounts, handlers: [greedy] }] })
    await expect(start.start()).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining('accounts.greedy'),
    })
    await start.stop()
  })

  it('Event Sourcing: state changes are appended to a subject and read back in order', async () => {
    const events = createEventStore({ store: database.store, registry, source: 'auth-service' })
    const user_id = randomUUID()
    const subject = `seed2-user/${user_id}`
    await events.append(subject, 0, [{ type: 'user.email_verified', data: { user_id } }])
    const roles = { type: 'auth.role_changed', data: { user_id, roles: ['admin'] } }
    await expect(events.append(subject, 0, [roles])).rejects.toMatchObject({ code: 'conflict' })
    await events.append(subject, 1, [roles])
    const types: string[] = []
    for await (const { type } of events.readSubject(subject)) types.push(type)
    expect(types).toEqual(['user.email_verified', 'auth.role_changed'])
    await events.close()
  })

  it('CQRS: a read model follows the events', async () => {
    const user = await registered()
    const found = () => rows('select roles from seed2_directory.people where user_id = $1', user)
    await until(async () => (await found()).length > 0)
    expect(await found()).toEqual([{ roles: ['member'] }])
  })
})

const silent = { debug() {}, info() {}, warn() {}, error() {} }
