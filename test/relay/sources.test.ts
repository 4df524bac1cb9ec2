import { describe, expect, it, onTestFinished } from 'vitest'
import { replayDeadLetters, replayOutcome } from '../../src/store/redrive.ts'
import { openTransport } from '../../src/transports/registry.ts'
import type { Message, Transport } from '../../src/transports/transport.ts'
import { eventOf, messageOf } from '../handle/running.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { commit, memoryUrl, readLogIds, readTopic, runSinks } from './sinking.ts'

async function openAt(url: string): Promise<Transport> {
  const transport = await openTransport(url)
  onTestFinished(() => transport.close())
  return transport
}
async function send(transport: Transport, topic: string, ...messages: readonly Message[]): Promise<void> {
  const results = await transport.publish(topic, messages, AbortSignal.timeout(5_000))
  expect(results.every(({ state }) => state === 'stored')).toBe(true)
}
const raw = (body: string | Uint8Array, headers = {}): Message => ({
  id: `raw-${Math.random()}`,
  key: null,
  headers,
  body: typeof body === 'string' ? Buffer.from(body) : body,
})
const eventsOf = async (store: { query: (text: string) => Promise<{ rows: readonly Record<string, unknown>[] }> }) =>
  (await store.query('select id, type, subject, data, metadata, source from evt.outbox order by seq')).rows

const source = (url: string, more = {}) => ({ name: 'in', url, topic: 'foreign', start: 'earliest' as const, ...more })

describe('sources', () => {
  it('bring foreign events into the store, of any shape, with where they came from', async () => {
    const { store } = await createTestDatabase()
    const url = memoryUrl()
    const transport = await openAt(url)
    const native = eventOf({ type: 'user.created', subject: 'user/1', data: { big: 1 } })
    await send(
      transport,
      'foreign',
      messageOf(native),
      raw(
        '{"specversion":"1.0","id":"ce-1","type":"order.placed","source":"shop","time":"2026-01-01T00:00:00Z","data":{"n":12345678901234567890}}',
      ),
      raw('{"hello":"world"}'),
      raw('just text'),
    )
    const relay = runSinks(store, [], { sources: [source(url)] })
    await until(async () => (await readLogIds(store)).length === 4)
    const events = await eventsOf(store)
    expect(events.map(({ type }) => type).toSorted()).toEqual(['foreign', 'foreign', 'order.placed', 'user.created'])
    const of = (type: string) => events.find((event) => event.type === type)
    expect(of('user.created')).toMatchObject({ id: native.id, subject: 'user/1' })
    expect(of('order.placed')?.id).toBe('ce-1')
    expect(of('foreign')?.id).toMatch(/^sha256-/)
    expect(of('user.created')?.metadata).toMatchObject({ evthops: '1', evtorigin: `${url} foreign` })
    expect(relay.taken.get('in')).toMatchObject({ taken: 4, dead: 0 })
    const { rows } = await store.query(`select data::text from evt.outbox where id = 'ce-1'`)
    expect(rows[0]?.data).toContain('12345678901234567890')
  })

  it('begin at the end when nobody says otherwise, and say once what they leave', async () => {
    const { store } = await createTestDatabase()
    const url = memoryUrl()
    const transport = await openAt(url)
    await send(transport, 'foreign', raw('{"old":1}'), raw('{"old":2}'))
    const left = 'a source starts at the end: what is there already is not taken in'
    const first = runSinks(store, [], { sources: [source(url, { start: 'latest' })] })
    await until(() => first.messages.some(({ message }) => message === left))
    await until(async () => (await transport.inspect(['foreign'])).groups.length === 1)
    expect(first.messages.find(({ message }) => message === left)).toMatchObject({
      level: 'warn',
      fields: { source: 'in', topics: 'foreign', messages: 2 },
    })
    await send(transport, 'foreign', raw('{"new":1}'))
    await until(async () => (await eventsOf(store)).length === 1)
    await first.stop()
    const second = runSinks(store, [], { sources: [source(url, { start: 'latest' })] })
    await send(transport, 'foreign', raw('{"new":2}'))
    await until(async () => (await eventsOf(store)).length === 2)
    expect(second.messages.filter(({ message }) => message === left)).toEqual([])
  })

  it('store each once, however often it is sent or read again, and tell other bytes under one id', async () => {
    const { store } = await createTestDatabase()
    const url = memoryUrl()
    const transport = await openAt(url)
    const event = eventOf({ type: 'user.created', subject: 'user/1', data: { n: 1 } })
    await send(transport, 'foreign', messageOf(event), raw('{"a":1}'))
    await send(transport, 'foreign', { ...messageOf(event), id: 'again' })
    await send(transport, 'foreign', { ...messageOf({ ...event, data: { n: 2 } }), id: 'other' })
    const first = runSinks(store, [], { sources: [source(url)] })
    await until(() => first.taken.get('in')?.taken === 4)
    await first.stop()
    // Another group reads all of it again.
    const again = runSinks(store, [], { sources: [source(url, { group: 'again' })], instance: 'b' })
    await until(() => again.taken.get('in')?.taken === 4)
    await until(async () => {
      const { rows } = await store.query(
        'select duplicates::int, refused::int from evt.ticks order by tick desc limit 1',
      )
      return rows[0]?.duplicates === 4 && rows[0]?.refused === 2
    })
    expect(await readLogIds(store)).toHaveLength(2)
  })

  it('make dead letters of what cannot be stored, with its bytes, and go on', async () => {
    const { store } = await createTestDatabase()
    const url = memoryUrl()
    const transport = await openAt(url)
    const binary = Uint8Array.of(0xff, 0xfe, 0, 1)
    await send(
      transport,
      'foreign',
      raw(binary),
      raw('{"specversion":"1.0","id":"x"}'),
      messageOf(eventOf({ type: 'good.one' })),
      {
        ...messageOf(eventOf({ type: 'bad.type' })),
        headers: { ...messageOf(eventOf({ type: 'bad.type' })).headers, 'ce-type': 'no%20type' },
      },
      {
        ...messageOf(eventOf({ type: 'bad.zero' })),
        headers: { ...messageOf(eventOf({ type: 'bad.zero' })).headers, 'ce-subject': 'a%00b' },
      },
      raw(JSON.stringify({ text: 'x'.repeat(1024 * 1024) })),
      {
        ...messageOf(eventOf({ type: 'round.again' })),
        headers: { ...messageOf(eventOf({ type: 'round.again' })).headers, 'ce-evthops': '16' },
      },
      // What only the store refuses.
      messageOf(eventOf({ type: 'huge.version', version: 3_000_000_000 })),
      messageOf(eventOf({ type: 'good.two' })),
    )
    const relay = runSinks(store, [], { sources: [source(url)] })
    await until(async () => (await readLogIds(store)).length === 2)
    await until(() => relay.taken.get('in')?.dead === 7)
    const { rows } = await store.query(
      'select handler, service, reason, error_message, body, topic from evt.dead_letters order by id',
    )
    // Lanes beside each other: in any order.
    const reasons = ['undecodable', 'undecodable', 'contract', 'contract', 'contract', 'non-retryable', 'non-retryable']
    expect(rows.map(({ reason }) => reason).toSorted()).toEqual(reasons.toSorted())
    const bytes = Buffer.from(binary)
    expect(rows).toContainEqual(
      expect.objectContaining({ handler: 'source:in', service: 'source', topic: 'foreign', body: bytes }),
    )
    expect(rows.some((row) => String(row.error_message).includes('16 bridges'))).toBe(true)
    expect((await eventsOf(store)).map(({ type }) => type).toSorted()).toEqual(['good.one', 'good.two'])
  })

  it('try again what an operator replays', async () => {
    const { store } = await createTestDatabase()
    const url = memoryUrl()
    const transport = await openAt(url)
    const huge = messageOf(eventOf({ type: 'huge.version', version: 3_000_000_000 }))
    await send(transport, 'foreign', raw('{"any":1}'), raw(Uint8Array.of(0xff)), huge)
    const first = runSinks(store, [], { sources: [source(url, { dialect: 'cloudevents' })] })
    await until(() => first.taken.get('in')?.dead === 3)
    await first.stop()
    // Another configuration takes what this one did not.
    runSinks(store, [], { sources: [source(url)], instance: 'b' })
    const { rows } = await store.query('select id from evt.dead_letters')
    await replayDeadLetters(store, { ids: rows.map(({ id }) => String(id)), replayId: 'r', by: 'test' })
    await until(async () => (await replayOutcome(store, 'r')).pending === 0)
    expect(await replayOutcome(store, 'r')).toMatchObject({ handled: 1, deadAgain: [{ count: 1 }, { count: 1 }] })
    await until(async () => (await readLogIds(store)).length === 1)
  })

  it('take only what is wanted, and refuse what is not of the dialect', async () => {
    const { store } = await createTestDatabase()
    const url = memoryUrl()
    const transport = await openAt(url)
    await send(
      transport,
      'foreign',
      messageOf(eventOf({ type: 'user.created' })),
      messageOf(eventOf({ type: 'order.placed' })),
      raw('{"any":1}'),
    )
    const relay = runSinks(store, [], { sources: [source(url, { patterns: ['user.*'], dialect: 'cloudevents' })] })
    await until(() => relay.taken.get('in')?.dead === 1)
    await until(async () => (await readLogIds(store)).length === 1)
    expect((await eventsOf(store)).map(({ type }) => type)).toEqual(['user.created'])
  })

  it('follow a NOTIFY channel while they lead, and say that it is at most once', async () => {
    const { store, url } = await createTestDatabase()
    const channel = [{ name: 'notes', url: `${url}?channel=user_events` }]
    const leader = runSinks(store, [], { sources: channel })
    await until(() => leader.messages.some(({ message }) => message.includes('without history')))
    const standby = runSinks(store, [], { sources: channel, instance: 'b' })
    await until(async () => {
      const { rows } = await store.query(
        `select from pg_stat_activity where application_name = 'evt channel' and datname = current_database()`,
      )
      return rows.length === 1
    })
    // Connected is not yet listening: what is sent before is lost, as promised.
    await until(async () => {
      await store.query(`select pg_notify('user_events', '{"first":true}')`)
      return (leader.taken.get('notes')?.taken ?? 0) > 0
    })
    await until(async () => (await readLogIds(store)).length === leader.taken.get('notes')?.taken)
    const before = (await readLogIds(store)).length
    for (let n = 0; n < 20; n += 1) await store.query(`select pg_notify('user_events', '{"n":${n}}')`)
    await until(async () => (await readLogIds(store)).length >= before + 20)
    expect(standby.taken.get('notes')?.taken ?? 0).toBe(0)
    await leader.stop()
    await until(() => standby.messages.some(({ message }) => message.includes('without history')))
    await until(async () => {
      await store.query(`select pg_notify('user_events', '{"later":true}')`)
      return (standby.taken.get('notes')?.taken ?? 0) > 0
    })
  })
})

describe('loops', () => {
  it('do not arise of a source and a sink on one topic', async () => {
    const { store } = await createTestDatabase()
    const url = memoryUrl()
    const transport = await openAt(url)
    const foreign = eventOf({ type: 'from.outside' })
    await send(transport, 'shared', messageOf(foreign))
    const sink = { name: 'out', url, topic: 'shared', start: 'earliest' } as const
    const relay = runSinks(store, [sink], { sources: [source(url, { topic: 'shared' })], open: withoutLog })
    const own = await commit(store, 20)
    await until(() => relay.meters.get('out')?.looped === 1 && relay.taken.get('in')?.looped === 20)
    expect(new Set(await readLogIds(store))).toEqual(new Set([foreign.id, ...own.map(({ id }) => id)]))
    expect(await readTopic(url, 'shared')).toHaveLength(21)
  })

  it('do not arise of two bridges in a ring', async () => {
    const [a, b] = [await createTestDatabase(), await createTestDatabase()]
    const url = memoryUrl()
    const out = (topic: string) => [{ name: 'out', url, topic, start: 'earliest' as const }]
    const one = runSinks(a.store, out('a-to-b'), { sources: [source(url, { topic: 'b-to-a' })] })
    const other = runSinks(b.store, out('b-to-a'), { sources: [source(url, { topic: 'a-to-b' })] })
    const [atA, atB] = [await commit(a.store, 30), await commit(b.store, 30, { type: 'other.made' })]
    const all = new Set([...atA, ...atB].map(({ id }) => id))
    await until(() => one.taken.get('in')?.looped === 30 && other.taken.get('in')?.looped === 30)
    for (const store of [a.store, b.store]) {
      await until(async () => (await readLogIds(store)).length === 60)
      expect(new Set(await readLogIds(store))).toEqual(all)
    }
  })
})

/** A topic that others write to as well cannot be a log. */
async function withoutLog({ url }: { readonly url: string }): Promise<Transport> {
  const inner = await openTransport(url)
  const { openLog: _, ...rest } = Object.getOwnPropertyDescriptors(inner)
  return Object.defineProperties({}, rest) as Transport
}
