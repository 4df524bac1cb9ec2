import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Bridge, createBridge, createPublisher, createRegistry, type NewEvent } from '../../src/index.ts'
import { contracts, userCreated } from '../../src/services/requests/contracts.ts'
import { requests } from '../../src/services/requests/service.ts'
import { runHere } from '../commands/evt.ts'
import { createTestDatabase, type TestDatabase } from '../setup/database.ts'
import { type PrivateRedis, startPrivateRedis } from '../setup/private-redis.ts'
import { canStart } from '../setup/shared-servers.ts'
import { until } from '../setup/until.ts'
import { examples } from './examples.ts'

const registry = createRegistry(contracts)
/** The document's own example, as printed. */
const example = examples.find(({ file }) => file === 'registry-user-created.json')?.event ?? {}
const withinMs = 20_000

describe('the schema registry', () => {
  it('has the 22 types of the document', () => {
    const here = registry.types().map((type) => type.replace(/^requests\./, ''))
    expect(here.toSorted()).toEqual(
      [
        ...['user.created', 'user.updated', 'user.verified', 'user.deleted'],
        ...['request.created', 'request.updated', 'request.assigned', 'request.completed', 'request.cancelled'],
        ...['assignment.created', 'assignment.accepted', 'assignment.rejected', 'assignment.completed'],
        ...['shift.created', 'shift.updated', 'shift.assigned', 'shift.transferred'],
        ...['notification.send', 'notification.delivered', 'notification.failed'],
        ...['system.health_check', 'system.error'],
      ].toSorted(),
    )
  })

  const eventOf = (version: number, data: object) =>
    ({ ...{ id: 'e', type: userCreated.type, version, source: 's', time: '2026-01-01T00:00:00Z' }, data }) as const

  it('validates an event against the version that it says, and names the field that is wrong', () => {
    const first = { user_id: 123, first_name: 'Test User', role: 'executor' }
    registry.validate(eventOf(1, first))
    registry.validate(eventOf(2, { ...first, full_name: 'Test User' }))
    expect(() => registry.validate(eventOf(2, first))).toThrow('data.full_name')
    expect(() => registry.validate(eventOf(1, { ...first, user_id: '123' }))).toThrow('data.user_id')
  })

  it('migrates version 1 to version 2: an optional field stays out, one is computed, one has its default', () => {
    const migrate = (data: object) =>
      registry.migrate({ ...eventOf(1, data), priority: 'normal', metadata: {} }, 2).data
    expect(migrate({ user_id: 123, first_name: 'John', role: 'executor' })).toEqual({
      ...{ user_id: 123, first_name: 'John', role: 'executor', full_name: 'John', permissions: [] },
    })
    expect(migrate({ user_id: 123, first_name: 'John', last_name: 'Doe', role: 'executor' })).toMatchObject({
      full_name: 'John Doe',
    })
  })
})

describe.skipIf(!canStart('redis'))('the request service beside a Redis of the document', () => {
  let database: TestDatabase
  let redis: PrivateRedis
  let client: Redis
  let bridge: Bridge
  beforeAll(async () => {
    ;[database, redis] = await Promise.all([createTestDatabase({ max: 20 }), startPrivateRedis()])
    client = new Redis(redis.url)
    const rename = { 'requests.user.*': 'user.*' }
    const patterns = ['requests.user.*', '{request,assignment,shift,notification}.*', 'system.{health_check,error}']
    const place = { layout: 'per-type', prefix: 'events:', dialect: 'registry', start: 'earliest' } as const
    bridge = createBridge({
      store: database.url,
      services: [requests],
      sinks: [{ name: 'streams', url: `${redis.url}?broadcast=events.`, ...place, rename, patterns }],
    })
    await bridge.start()
  }, 60_000)
  afterAll(async () => {
    await bridge?.stop()
    client?.disconnect()
    await redis?.stop()
    await database?.[Symbol.asyncDispose]()
  })

  const publish = async (...events: readonly NewEvent[]) => {
    const publisher = createPublisher({ store: database.url, registry, source: 'users-service' })
    for (const event of events) expect(await publisher.send(event)).toMatchObject({ state: 'stored' })
    await publisher.close()
  }
  const user = (user_id: number, more: Partial<NewEvent> = {}): NewEvent => ({
    ...{ type: userCreated.type, version: 1, subject: `user/${user_id}`, actor: { userId: String(user_id) } },
    data: { user_id, first_name: 'Test User', role: 'executor' },
    ...more,
  })
  /** The events of a stream: what stands in the field `body` of each entry. */
  const bodiesOf = async (stream: string) =>
    (await client.xrange(stream, '-', '+')).map(([, fields]) => JSON.parse(fields[fields.indexOf('body') + 1] ?? ''))

  it('has the example of the document in stream events:user.created and on channel events.user.created, as printed', async () => {
    const listener = client.duplicate()
    onTestFinished(() => listener.disconnect())
    const heard: unknown[] = []
    listener.on('message', (_channel, text) => heard.push(JSON.parse(text)))
    await listener.subscribe('events.user.created')
    const {
      event_id,
      event_type: _,
      version: __,
      timestamp,
      source_service,
      correlation_id,
      metadata,
      ...data
    } = example
    await publish(
      user(12_345, {
        ...{ id: String(event_id), time: String(timestamp), source: String(source_service) },
        ...{ correlationId: String(correlation_id), metadata: metadata as Record<string, string>, data },
      }),
    )
    await until(async () => (await bodiesOf('events:user.created')).length === 1, { withinMs })
    expect(await bodiesOf('events:user.created')).toEqual([example])
    await until(() => heard.length === 1, { withinMs })
    expect(heard).toEqual([example])
    // What it subscribes to in the document's "Subscribing to Events": the name and the number.
    const found = `select full_name from requests.users where user_id = 12345`
    await until(async () => (await database.store.query(found)).rows[0]?.full_name === 'John Doe', { withinMs })
  })

  it('answers the commands of the document: groups, consumers that share, acknowledgement, pending, claim', async () => {
    await publish(user(1), user(2), user(3))
    const stream = 'events:user.created'
    await until(async () => (await client.xlen(stream)) >= 4, { withinMs })
    const group = 'users-service-consumer'
    await client.xgroup('CREATE', stream, group, '0')
    const read = async (nth: number, count: number) =>
      (
        (await client.xreadgroup('GROUP', group, `${group}-${nth}`, 'COUNT', count, 'STREAMS', stream, '>')) as [
          [string, [string, string[]][]],
        ]
      )[0][1].map(([id]) => id)
    const [first, second] = [await read(1, 2), await read(2, 10)]
    expect(new Set([...first, ...second]).size).toBe(first.length + second.length)
    expect(first).toHaveLength(2)
    await client.xack(stream, group, ...first)
    expect(((await client.xpending(stream, group)) as unknown[])[0]).toBe(second.length)
    // Instance 2 is gone: instance 1 takes over what it had.
    const [, claimed] = (await client.xautoclaim(stream, group, `${group}-1`, 0, '0')) as [string, [string][]]
    expect(claimed.map(([id]) => id)).toEqual(second)
    const info = (await client.xinfo('STREAM', stream)) as unknown[]
    expect(info[info.indexOf('length') + 1]).toBe(first.length + second.length)
    const [shown] = (await client.xinfo('GROUPS', stream)) as unknown[][]
    expect(shown).toEqual(expect.arrayContaining([group, second.length]))
  })

  it('reads what a program of the document writes there, as one of a group with pending entries', async () => {
    const other = await createTestDatabase({ max: 10 })
    onTestFinished(() => other[Symbol.asyncDispose]())
    const stream = 'theirs:user.created'
    const fields = Object.entries({ ...example, event_id: randomUUID(), user_id: 777 }).flatMap(([name, value]) => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value),
    ])
    const reading = createBridge({
      store: other.url,
      services: [requests],
      sources: [
        {
          ...{ name: 'theirs', url: redis.url, topic: stream, group: 'users-service-consumer', start: 'earliest' },
          rename: { 'requests.user.*': 'user.*' },
        },
      ],
    })
    onTestFinished(() => reading.stop())
    await reading.start()
    await client.xadd(stream, '*', ...fields)
    const found = 'select full_name, specializations from requests.users where user_id = 777'
    await until(async () => (await other.store.query(found)).rows.length === 1, { withinMs })
    expect((await other.store.query(found)).rows).toEqual([
      { full_name: 'John Doe', specializations: ['electrical', 'plumbing'] },
    ])
    const [shown] = (await client.xinfo('GROUPS', stream)) as unknown[][]
    expect(shown).toEqual(expect.arrayContaining(['users-service-consumer']))
    const [consumer] = (await client.xinfo('CONSUMERS', stream, 'users-service-consumer')) as unknown[][]
    expect(consumer).toEqual(expect.arrayContaining(['users-service-consumer-1']))
    await until(async () => ((await client.xpending(stream, 'users-service-consumer')) as unknown[])[0] === 0, {
      withinMs,
    })
  })

  it('refuses what does not fit its contract and what is above 1 MB, and makes a dead letter of what is illegal', async () => {
    const publisher = createPublisher({ store: database.url, registry, source: 'users-service' })
    onTestFinished(() => publisher.close())
    expect(await publisher.send(user(9, { data: { user_id: 9 } }))).toMatchObject({ state: 'refused' })
    const description = 'x'.repeat(2_000)
    const changes = Array.from({ length: 20 }, () => 'y'.repeat(60_000))
    const id = randomUUID()
    expect(
      await publisher.send({ type: 'request.updated', data: { request_id: id, description, changes } }),
    ).toMatchObject({ state: 'refused', error: { code: 'too-large' } })
    await publish({ type: 'request.completed', subject: `request/${id}`, data: { request_id: id, executor_id: 1 } })
    const dead = `select error_message from evt.dead_letters where handler = 'requests.requests'`
    const { error_message } = await until(async () => (await database.store.query(dead)).rows[0], { withinMs })
    expect(error_message).toBe(`request ${id} is not known: there can be no request.completed`)
  })

  it('replays a type from a time to a time, at most so many, and says how many', async () => {
    await publish(user(11), user(12), user(13))
    const evt = (...words: string[]) =>
      runHere(['replay', '--type', userCreated.type, ...words, '--yes', '--json'], {
        store: database.url,
        env: { EVT_SERVICES: 'requests' },
        cwd: '/',
      })
    const span = ['--since', '1h', '--until', 'now', '--handler', 'requests.users']
    await until(async () => (await database.store.query('select from requests.users where user_id = 13')).rows.length, {
      withinMs,
    })
    const { stdout, stderr } = await evt(...span, '--limit', '2')
    expect(JSON.parse(stdout || '{}'), stderr).toMatchObject({
      status: 'pass',
      data: { matched: 2, handlers: [{ handler: 'requests.users', handled: 2, dead: 0 }] },
    })
  })

  it('counts what was published and handled by type and service, and how long it took', async () => {
    await publish(user(21))
    const handlerOf = () => bridge.stats().handlers.find(({ handler }) => handler === 'requests.users')
    await until(() => (handlerOf()?.handled ?? 0) > 0, { withinMs })
    expect(handlerOf()).toMatchObject({ group: 'requests', failed: expect.any(Number), dead: 0 })
    expect(bridge.stats().sinks[0]).toMatchObject({ sink: 'streams', dead: 0 })
    const { rows } = await database.store.query(
      `select source, type, count(*)::int as n from evt.outbox where type = $1 group by 1, 2`,
      [userCreated.type],
    )
    expect(rows).toEqual([{ source: 'users-service', type: userCreated.type, n: expect.any(Number) }])
  })
})
