import { AsyncLocalStorage } from 'node:async_hooks'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Context, type ContextManager, context, ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { createBridge, createPublisher, createRegistry, defineEvent, defineHandler } from '../../src/index.ts'
import { currentTracing, openTracing } from '../../src/watch/tracing/current.ts'
import { createNowhere, runHere } from '../commands/evt.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

const exporter = new InMemorySpanExporter()

/** What @opentelemetry/context-async-hooks does. */
function createContexts(): ContextManager {
  const storage = new AsyncLocalStorage<Context>()
  const manager: ContextManager = {
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (given, work, thisArg, ...args) => storage.run(given, () => work.apply(thisArg as never, args)),
    bind: (_, target) => target,
    enable: () => manager,
    disable: () => manager,
  }
  return manager
}

const registry = createRegistry([
  defineEvent('order.placed', { 1: z.object({ card: z.string() }) }),
  defineEvent('order.shipped', { 1: z.object({}) }),
])
const publisherOf = (store: string) => createPublisher({ store, registry, source: 'shop' })

it('is off while nobody has registered a provider', async () => {
  await openTracing(undefined)
  expect(currentTracing()).toBeUndefined()
})

describe('spans', () => {
  beforeAll(() => {
    context.setGlobalContextManager(createContexts())
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }))
  })
  afterAll(async () => {
    await openTracing(false)
    trace.disable()
    context.disable()
  })
  const spans = () => exporter.getFinishedSpans()
  const named = (name: string) => spans().filter((span) => span.name === name)

  it('follow an event from who publishes it to what its handler publishes, and the handler runs within its own', async () => {
    const { url, store } = await createTestDatabase()
    const seen: (string | undefined)[] = []
    const ship = defineHandler({
      name: 'shop.ship',
      on: ['order.placed'],
      async handle(_, ctx) {
        await ctx.sql`select 1`
        seen.push(trace.getActiveSpan()?.spanContext().spanId)
        await ctx.publish({ type: 'order.shipped', subject: 'order/1', data: {} })
      },
    })
    const mail = defineHandler({ name: 'mail.shipped', on: ['order.shipped'], handle() {} })
    const sinks = [{ name: 'out', url: 'memory://traced/events' }]
    const bridge = createBridge({ store: url, handlers: [ship, mail], sinks, registry })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    const publisher = publisherOf(url)
    onTestFinished(() => publisher.close())
    const request = trace.getTracer('app').startSpan('POST /orders')
    await context.with(trace.setSpan(ROOT_CONTEXT, request), () =>
      publisher.publishAll([{ type: 'order.placed', subject: 'order/1', data: { card: 'planted-secret' } }]),
    )
    request.end()
    await until(() => named('handle mail.shipped').length === 1 && named('carry events').length > 0, {
      withinMs: 20_000,
    })
    const path = ['publish order.placed', 'handle shop.ship', 'publish order.shipped', 'handle mail.shipped']
    const chain = path.map((name) => named(name)[0])
    for (const [at, span] of chain.entries()) {
      expect(span?.spanContext().traceId, path[at]).toBe(request.spanContext().traceId)
      const parent = at === 0 ? request.spanContext().spanId : chain[at - 1]?.spanContext().spanId
      expect(span?.parentSpanContext?.spanId, path[at]).toBe(parent)
    }
    expect(seen).toEqual([chain[1]?.spanContext().spanId])
    expect(chain[1]).toMatchObject({
      kind: SpanKind.CONSUMER,
      attributes: {
        'messaging.operation.type': 'process',
        'messaging.consumer.group.name': 'shop.ship',
        'evt.type': 'order.placed',
        'evt.attempt': 1,
      },
    })
    const [relayed] = named('relay order.placed')
    expect(relayed?.parentSpanContext?.spanId).toBe(chain[0]?.spanContext().spanId)
    const linked = named('carry events').flatMap(({ links }) => links.map((link) => link.context.spanId))
    expect(linked).toContain(chain[0]?.spanContext().spanId)
    const { rows } = await store.query(`select traceparent from evt.outbox where type = 'order.placed'`)
    expect(rows[0]?.traceparent).toContain(chain[0]?.spanContext().spanId)
    const told = spans().map(({ name, attributes, events, status, links }) => ({
      name,
      attributes,
      events,
      status,
      links,
    }))
    expect(JSON.stringify(told)).not.toContain('planted-secret')
  })

  it('name what failed, and not what it said', async () => {
    const { url, store } = await createTestDatabase()
    const broken = defineHandler({
      name: 'shop.broken',
      on: ['order.lost'],
      retry: { attempts: 1 },
      handle: () => Promise.reject(new RangeError('planted-secret')),
    })
    const bridge = createBridge({ store: url, handlers: [broken], tracing: { conventions: '1.24' } })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    await store.query(`select evt.publish('order.lost', '{}', 'order/1', traceparent => 'nonsense')`)
    await until(() => named('handle shop.broken').length > 0, { withinMs: 20_000 })
    const [span] = named('handle shop.broken')
    expect(span?.attributes).toMatchObject({ 'error.type': 'RangeError', 'messaging.operation': 'deliver' })
    expect(span?.status).toEqual({ code: 2, message: 'RangeError' })
    expect(span?.parentSpanContext).toBeUndefined()
  })

  it('are not made where an application says no', async () => {
    const { url, store } = await createTestDatabase()
    const count = spans().length
    let handled = 0
    const quiet = defineHandler({ name: 'shop.quiet', on: ['order.paid'], handle: () => void handled++ })
    const bridge = createBridge({ store: url, handlers: [quiet], tracing: false })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    await store.query(`select evt.publish('order.paid', '{}')`)
    await until(() => handled === 1, { withinMs: 20_000 })
    expect(spans().length).toBe(count)
  })

  it('are switched off and on by EVT_TRACING; off stays off for who says nothing', async () => {
    const { url, store } = await createTestDatabase()
    const nowhere = createNowhere()
    onTestFinished(nowhere.dispose)
    const handler = `{ name: 'shop.told', on: ['order.told'], start: 'earliest', handle() {} }`
    const service = `{ name: 'shop', contracts: [], handlers: [${handler}] }`
    writeFileSync(join(nowhere.path, 'evt.config.mjs'), `export default { services: [${service}] }`)
    const handled = async () =>
      Number((await store.query(`select count(*) as n from evt.inbox where handler = 'shop.told'`)).rows[0]?.n)
    const up = async (env: Record<string, string>, work: () => Promise<unknown>) => {
      const ending = new AbortController()
      const running = runHere(['up'], { store: url, cwd: nowhere.path, env, signal: ending.signal })
      await store.query(`select evt.publish('order.told', '{}')`)
      await work()
      ending.abort()
      await running
    }
    const count = spans().length
    await up({ EVT_TRACING: 'false' }, () => until(async () => (await handled()) === 1, { withinMs: 20_000 }))
    const publisher = createPublisher({ url: 'memory://traced-not', source: 'shop' })
    onTestFinished(() => publisher.close())
    await publisher.send({ type: 'order.told', data: {} })
    expect(spans().length).toBe(count)
    const asked = createPublisher({ env: { EVENT_BUS_TYPE: 'memory', EVT_TRACING: 'true' }, cwd: '/', source: 'shop' })
    onTestFinished(() => asked.close())
    await asked.send({ type: 'order.asked', data: {} })
    expect(named('publish order.asked')).toHaveLength(1)
    await openTracing(false)
    await up({ EVT_TRACING: 'true' }, () => until(() => named('handle shop.told').length === 1, { withinMs: 20_000 }))
  })
})
