import { randomUUID } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { createBridge } from '../src/bridge.ts'
import { defineEvent } from '../src/core/define-event.ts'
import { createRegistry } from '../src/core/registry.ts'
import { createPublisher } from '../src/create-publisher.ts'
import { createEventBus } from '../src/event-bus.ts'
import type { DirectPublisherOptions } from '../src/publisher-to-broker.ts'
import { hasServer, serverUrl } from './setup/shared-servers.ts'
import { startTcpProxy } from './setup/tcp-proxy.ts'
import { until } from './setup/until.ts'

const told = defineEvent('news.told', { 1: z.object({ n: z.number() }) })
const rumour = defineEvent('news.rumoured', { 1: z.object({ n: z.number() }) }, { draft: true })
const registry = createRegistry([told, rumour])
const news = (n: unknown, more: object = {}) => ({ type: 'news.told', subject: 'news/1', data: { n }, ...more })
const many = (count: number) => Array.from({ length: count }, (_, n) => news(n))

function publisherOn(options: Partial<DirectPublisherOptions>) {
  const errors: string[] = []
  const onError = ({ code }: { readonly code: string }) => void errors.push(code)
  const publisher = createPublisher({ source: 'test', registry, onError, ...options })
  onTestFinished(() => publisher.close({ grace: '1s' }))
  return { publisher, errors }
}

it('a store that is no text at all, as of a variable that is not set, is refused at once', () => {
  const make = () => createPublisher({ store: '', registry, source: 'test' })
  expect(make).toThrow(expect.objectContaining({ code: 'config', message: expect.stringContaining('store is empty') }))
})

it('what nothing would read is refused by its name, for bridges, buses and publishers alike', () => {
  const odd: [() => unknown, string, string][] = [
    [
      () => createBridge({ store: 'postgres://x', projections: [] } as never),
      'projections',
      'defineService({ projections })',
    ],
    [() => createBridge({ store: 'postgres://x', sink: [] } as never), 'sink', 'did you mean sinks?'],
    [() => createEventBus({ url: 'memory://x', lane: 1 } as never), 'lane', 'did you mean lanes?'],
    [() => createPublisher({ url: 'memory://x', source: 'a', topics: 'b' } as never), 'topics', 'did you mean topic?'],
    [() => createPublisher({ store: 'postgres://x', registry, source: 'a', draft: [] } as never), 'draft', 'drafts?'],
  ]
  for (const [make, name, hint] of odd)
    expect(make).toThrow(
      expect.objectContaining({
        code: 'config',
        hint: expect.stringContaining(hint),
        message: expect.stringMatching(`it has no option ${name}$`),
      }),
    )
})

/** The numbers that a bus gets there, in their order. */
async function listen(options: {
  readonly url?: string
  readonly env?: Record<string, string>
  readonly topic?: string
}) {
  const seen: number[] = []
  const bus = createEventBus({ cwd: '/', lanes: 4, ...options })
  onTestFinished(() => bus.stop())
  await bus.start()
  await bus.subscribe('news.*', (event) => void seen.push((event.data as { n: number }).n))
  return seen
}

describe('a publisher without a store', () => {
  it('publishes where the environment says, for who handles there', async () => {
    const topic = randomUUID()
    const env = { EVENT_BUS_TYPE: 'memory', EVENT_PUBLISHER_MAX_BATCH_SIZE: '10' }
    const seen = await listen({ env, topic })
    const { publisher } = publisherOn({ env, cwd: '/', topic })
    expect(await publisher.sendAll(many(100))).toEqual({ published: 100, failed: [] })
    await until(() => seen.length === 100)
    expect(seen).toEqual(Array.from({ length: 100 }, (_, n) => n))
    expect(publisher.stats()).toMatchObject({ publisher: 'test', published: 100, queued: 0 })
    // The first may leave before it is full.
    expect(publisher.stats().batches).toBeGreaterThanOrEqual(10)
    expect(publisher.stats().batches).toBeLessThan(20)
  })

  it('never throws: what it refuses is the outcome, and is told', async () => {
    const { publisher, errors } = publisherOn({ url: `memory://${randomUUID()}`, publishes: ['news.*'] })
    const bad = [news('x'), { type: 'other.told', data: 1 }, { type: 'news.rumoured', data: { n: 1 } }, null]
    const outcomes = await Promise.all(bad.map((event) => publisher.send(event as never)))
    expect(outcomes.map(({ state }) => state)).toEqual(bad.map(() => 'refused'))
    expect(errors.toSorted()).toEqual(['contract', 'contract', 'refused', 'refused'])
    expect(await publisher.send(news(1, { deliverAt: '2030-01-01T00:00:00Z' }))).toMatchObject({
      error: { code: 'unsupported' },
    })
    expect(await publisher.send({ type: 'news.unknown', data: 1 })).toMatchObject({ state: 'stored' })
  })

  it('lets drafts out that it is told to', async () => {
    const { publisher } = publisherOn({ url: `memory://${randomUUID()}`, drafts: ['news.rumoured'] })
    expect(await publisher.send({ type: 'news.rumoured', data: { n: 1 } })).toMatchObject({ state: 'stored' })
  })

  it('flushes, and closes without losing what was sent; what comes later is refused', async () => {
    const url = `memory://${randomUUID()}`
    const seen = await listen({ url })
    const { publisher, errors } = publisherOn({ url, settings: { batch: { size: 50, wait: '10ms' } } })
    const sent = many(120).map(publisher.send)
    const closing = publisher.close()
    expect((await Promise.all(sent)).every(({ state }) => state === 'stored')).toBe(true)
    await closing
    await until(() => seen.length === 120)
    expect(await publisher.send(news(1))).toMatchObject({ state: 'refused', error: { code: 'closed' } })
    expect(errors).toEqual(['closed'])
    await publisher.flush()
    await publisher.close()
  })

  it('with EVENT_BUS_TYPE=noop sends nothing, and the outcome says so', async () => {
    const { publisher, errors } = publisherOn({ env: { EVENT_BUS_TYPE: 'noop' }, cwd: '/' })
    expect(await publisher.send(news(1))).toEqual({ state: 'unsent', id: undefined })
    expect(await publisher.sendAll(many(3))).toEqual({ published: 0, failed: [] })
    await publisher.flush()
    expect([errors, publisher.stats().published]).toEqual([[], 0])
  })

  it('says what is missing or too much', async () => {
    expect(() => createPublisher({ source: 'test' })).toThrow(/nothing says where/)
    const both = { source: 'test', registry, store: 'postgres://x', url: 'memory://x' }
    expect(() => createPublisher(both)).toThrow(/both a store and a broker/)
    const { publisher } = publisherOn({ env: {}, cwd: '/' })
    expect(await publisher.send(news(1))).toMatchObject({ state: 'refused', error: { code: 'config' } })
    const unknown = publisherOn({ url: 'nats://x' }).publisher
    expect(await unknown.send(news(1))).toMatchObject({ state: 'refused', error: { code: 'usage' } })
  })

  it('a server that is away: bounded, told, and close ends', async () => {
    const { publisher, errors } = publisherOn({
      url: 'redis://127.0.0.1:1',
      settings: { most: { events: 20 }, timeout: '100ms', retry: { max: '10ms' } },
    })
    const outcomes = await Promise.all(many(30).map(publisher.send))
    expect(outcomes.every(({ state }) => state === 'refused')).toBe(true)
    expect(errors).toHaveLength(30)
    expect(errors.filter((code) => code === 'refused')).toHaveLength(10)
    await publisher.close({ grace: '100ms' })
  })

  it.skipIf(!hasServer('redis'))('a broker that comes back gets everything, in order', async () => {
    const url = await serverUrl('redis')
    const topic = `t${randomUUID().slice(0, 8)}`
    const seen = await listen({ url, topic })
    await using proxy = await startTcpProxy(Number(new URL(url).port))
    const { publisher } = publisherOn({ url: proxy.through(url), topic, lanes: 4, settings: { batch: { size: 20 } } })
    const sent = many(200).map(publisher.send)
    await until(() => publisher.stats().published > 0)
    proxy.cut()
    await publisher.flush()
    expect((await Promise.all(sent)).every(({ state }) => state === 'stored' || state === 'duplicate')).toBe(true)
    await until(() => new Set(seen).size === 200)
    expect([...new Set(seen)]).toEqual(Array.from({ length: 200 }, (_, n) => n))
  })
})
