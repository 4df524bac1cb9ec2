import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { encodeEvent } from '../../src/core/codec.ts'
import { resolveSinks } from '../../src/relay/sink-config.ts'
import type { Store } from '../../src/store/connection.ts'
import { publishEncoded } from '../../src/store/outbox.ts'
import { eventOf } from '../handle/running.ts'
import { createTestDatabase } from '../setup/database.ts'
import type { ServerName } from '../setup/server-names.ts'
import { hasServer, serverUrl } from '../setup/shared-servers.ts'
import { until } from '../setup/until.ts'
import { memoryUrl, readTopic, runSinks } from './sinking.ts'

const rename = { 'requests.user.*': 'user.*' }
const patterns = ['requests.*', 'request.*']
const slow = { withinMs: 30_000 }
const outboxOf = async (store: Store) =>
  (await store.query('select id, type, subject, metadata from evt.outbox order by seq')).rows
const publish = (store: Store, ...types: readonly string[]) =>
  publishEncoded(
    store,
    types.map((type) => encodeEvent(eventOf({ type, subject: 'user/7', data: { user_id: 7, first_name: 'Ada' } }))),
  )

const servers: readonly (readonly [string, ServerName | undefined])[] = [
  ['memory', undefined],
  ['redis', 'redis'],
  ['kafka', 'kafka'],
  ['rabbitmq', 'rabbitmq'],
]

describe.each(servers)('a sink over %s with other names for its types', (_name, server) => {
  const urlOf = async () => (server ? serverUrl(server) : memoryUrl())

  it.skipIf(server && !hasServer(server))(
    'has them in its topics, headers and bodies, and a source there has its own',
    async () => {
      const [a, b] = await Promise.all([createTestDatabase(), createTestDatabase()])
      const url = await urlOf()
      const prefix = `t${randomUUID().slice(0, 8)}.`
      const one = { name: 'out', url, layout: 'per-type', prefix, rename, patterns, start: 'earliest' } as const
      const relay = runSinks(a.store, [{ ...one, dialect: 'registry' }])
      await publish(a.store, 'user.created', 'requests.user.created', 'request.created')
      const topic = [`${prefix}user.created`, `${prefix}request.created`]
      const there = { name: 'in', url, topic, rename: { 'theirs.*': '*' }, start: 'earliest' } as const
      const taking = runSinks(b.store, [], { sources: [there], instance: 'b' })
      await until(async () => (await outboxOf(b.store)).length === 2, slow)
      const [created, request] = (await outboxOf(b.store)).toSorted((x, y) =>
        String(y.type).localeCompare(String(x.type)),
      )
      expect(created).toMatchObject({ type: 'theirs.user.created', subject: 'user/7', metadata: { evthops: '1' } })
      expect(request).toMatchObject({ type: 'theirs.request.created' })
      expect(relay.meters.get('out')).toMatchObject({ carried: 2, dead: 0 })
      expect(taking.taken.get('in')).toMatchObject({ taken: 2, dead: 0 })
    },
    60_000,
  )
})

describe('renamed events', () => {
  it('have their name in the headers and bodies of every dialect', async () => {
    const { store } = await createTestDatabase()
    const url = memoryUrl()
    const dialects = ['cloudevents-structured', 'registry', 'domain-events', 'event-bus', 'typed-events'] as const
    runSinks(
      store,
      dialects.map((dialect) => ({ name: dialect, url, topic: dialect, rename, patterns, dialect, start: 'earliest' })),
    )
    await publish(store, 'requests.user.created')
    const names: Record<string, unknown> = {}
    for (const dialect of dialects) {
      const [message] = await readTopic(url, dialect, 1)
      expect(message?.headers['ce-type']).toBe('user.created')
      const body = JSON.parse(Buffer.from(message?.body ?? []).toString())
      names[dialect] = body.event_type ?? body.type ?? body.event_name
    }
    expect(names).toEqual({
      'cloudevents-structured': 'user.created',
      registry: 'user.created',
      'domain-events': 'UserCreated',
      'event-bus': 'user.created',
      'typed-events': 'user.created',
    })
  })

  it('do not go round between two bridges that each call them otherwise', async () => {
    const [a, b] = await Promise.all([createTestDatabase(), createTestDatabase()])
    const url = memoryUrl()
    const out = (topic: string) => [{ name: 'out', url, topic, start: 'earliest' as const, rename: { '*': 'x.*' } }]
    const source = (topic: string) => [{ name: 'in', url, topic, start: 'earliest' as const }]
    const one = runSinks(a.store, out('a-to-b'), { sources: source('b-to-a') })
    runSinks(b.store, out('b-to-a'), { sources: source('a-to-b') })
    await publish(a.store, 'thing.made', 'thing.made')
    await until(() => one.taken.get('in')?.looped === 2)
    expect((await outboxOf(b.store)).map(({ type }) => type)).toEqual(['x.thing.made', 'x.thing.made'])
    expect(await outboxOf(a.store)).toHaveLength(2)
  })

  it('come in as a dead letter when their name belongs to another type here, and not at all when nobody wants it', async () => {
    const { store } = await createTestDatabase()
    const from = await createTestDatabase()
    const url = memoryUrl()
    runSinks(from.store, [{ name: 'out', url, topic: 'all', start: 'earliest' }], { instance: 'from' })
    await publish(from.store, 'requests.user.created', 'user.created', 'request.created')
    const source = { url, topic: 'all', rename, start: 'earliest' } as const
    const relay = runSinks(store, [], {
      sources: [
        { ...source, name: 'all' },
        { ...source, name: 'some', patterns: ['request.*'] },
      ],
    })
    await until(() => relay.taken.get('all')?.dead === 1 && relay.taken.get('all')?.taken === 2)
    const { rows } = await store.query('select type, error_message from evt.dead_letters')
    expect(rows).toEqual([
      {
        type: 'requests.user.created',
        error_message: expect.stringContaining(
          'its type is requests.user.created there, and its source gives that name to another type',
        ),
      },
    ])
    await until(() => relay.taken.get('some')?.taken === 1)
    expect(relay.taken.get('some')?.dead).toBe(0)
    expect(new Set((await outboxOf(store)).map(({ type }) => type))).toEqual(
      new Set(['requests.user.created', 'request.created']),
    )
  })

  it('that the sink refuses are dead letters under their name here', async () => {
    const { store } = await createTestDatabase()
    const url = memoryUrl()
    const relay = runSinks(store, [{ name: 'out', url, rename, patterns, dialect: 'registry', start: 'earliest' }])
    // The shape has no place for data that is no object.
    await publishEncoded(store, [encodeEvent(eventOf({ type: 'requests.user.created', data: [1] }))])
    await until(() => relay.meters.get('out')?.dead === 1)
    expect((await store.query('select type from evt.dead_letters')).rows).toEqual([{ type: 'requests.user.created' }])
  })
})

describe('a sink with other names', () => {
  const url = 'redis://h/0'
  it('is refused where it would carry other types under the names that it gives', () => {
    expect(() => resolveSinks([{ name: 'out', url, rename }])).toThrow(
      expect.objectContaining({
        code: 'config',
        message: expect.stringMatching(/^cannot use sink out: cannot rename requests\.user\.\* to user\.\*/),
        hint: expect.stringContaining('patterns'),
      }),
    )
  })

  it.each([
    [{ patterns: ['user.created'] }, true],
    [{ patterns: ['user.*'] }, true],
    [{ patterns: ['requests.user.created'] }, false],
    [{ patterns: ['x.*'], rename: { 'x.*': 'user.*' } }, true],
    [{ patterns: ['x.*'], rename: { 'x.*': 'y.*' } }, false],
  ])('beside one with %j writes to the same topics: %s', (other, isRefused) => {
    const layout = { url, layout: 'per-type' } as const
    const both = () =>
      resolveSinks([
        { name: 'a', ...layout, rename, patterns },
        { name: 'b', ...layout, ...other },
      ])
    if (isRefused) expect(both).toThrow('cannot use sink b: it writes to')
    else expect(both()).toHaveLength(2)
  })
})
