import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { createBridge } from '../../src/bridge.ts'
import { defineEvent } from '../../src/core/define-event.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createPublisher } from '../../src/create-publisher.ts'
import { defineBatchHandler } from '../../src/handle/define-batch-handler.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

const thingMade = defineEvent('thing.made', { 1: z.object({ n: z.number() }) })
const registry = createRegistry([thingMade])

async function bridgeAndPublisher() {
  const { store, url } = await createTestDatabase({ max: 6 })
  const bridge = createBridge({ store: url, registry })
  onTestFinished(() => bridge.stop())
  await bridge.start()
  const publisher = createPublisher({ store, registry, source: 'test' })
  let sent = 0
  const publish = (count: number) =>
    publisher.publishAll(
      Array.from({ length: count }, () => ({ type: 'thing.made', subject: `s/${sent % 7}`, data: { n: sent++ } })),
    )
  return { store, bridge, publish }
}

it('a handler that is added under load gets all that comes after, in the order of each subject', async () => {
  const { bridge, publish } = await bridgeAndPublisher()
  let busy = 0
  await bridge.subscribe('thing.*', () => void busy++, { name: 'test.busy' })
  let isLoaded = true
  const load = (async () => {
    while (isLoaded) await publish(20)
  })()
  await until(() => busy > 100, { withinMs: 20_000 })
  const seen: number[] = []
  const id = await bridge.subscribe(thingMade, (event) => void seen.push(event.data.n), { name: 'test.late' })
  expect(id).toBe('test.late')
  await until(() => seen.length > 200, { withinMs: 20_000 })
  isLoaded = false
  await load
  const last = Math.max(...seen)
  await publish(50)
  await until(() => Math.max(...seen) >= last + 50, { withinMs: 20_000 })
  // What a transaction that is tried again has in hand comes again: only effects in it happen once.
  const firsts = () => [...new Set(seen)]
  // The first of all need not come first: lanes go on side by side.
  await until(() => firsts().length === Math.max(...seen) - Math.min(...seen) + 1, { withinMs: 20_000 })
  for (let subject = 0; subject < 7; subject++) {
    const own = firsts().filter((n) => n % 7 === subject)
    expect(own).toEqual(own.toSorted((a, b) => a - b))
  }
})

it('one that is removed finishes what it began; what comes while nobody runs it waits, and is not lost', async () => {
  const { store, bridge, publish } = await bridgeAndPublisher()
  const seen: number[] = []
  const handle = (event: { readonly data: unknown }) => void seen.push((event.data as { n: number }).n)
  const id = await bridge.subscribe('thing.*', handle)
  expect(id).toMatch(/^on-thing-any-/)
  await publish(10)
  await until(() => seen.length === 10)
  expect(await bridge.unsubscribe(id)).toBe(true)
  expect(await bridge.unsubscribe(id)).toBe(false)
  expect(bridge.stats().handlers).toEqual([])
  await publish(10)
  await until(async () => (await store.query('select count(*)::int as n from evt.log')).rows[0]?.n === 20)
  expect(seen).toHaveLength(10)
  await bridge.subscribe('thing.*', handle)
  await until(() => seen.length === 20)
  expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, n) => n))
})

it('two of one name, wrong definitions and a bridge that does not run are refused', async () => {
  const { bridge } = await bridgeAndPublisher()
  await bridge.subscribe('thing.*', () => {}, { name: 'test.one' })
  await expect(bridge.subscribe('thing.*', () => {}, { name: 'test.one' })).rejects.toThrow(
    'two handlers have that name',
  )
  await expect(bridge.subscribe('thing.*', () => {}, { name: 'test.two', concurrency: 0 })).rejects.toThrow(
    'concurrency is 0',
  )
  const both = await Promise.allSettled(
    [1, 2].map(() => bridge.handle(defineBatchHandler({ name: 'test.batch', on: ['thing.*'], batch: 5, handle() {} }))),
  )
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  await bridge.stop()
  await expect(bridge.subscribe('thing.*', () => {})).rejects.toThrow('was stopped')
})

it('at most maxConcurrentHandlers events are in handlers at the same time, whatever their handlers ask for; low ones get their share', async () => {
  const { store, url } = await createTestDatabase({ max: 8 })
  let [now, most] = [0, 0]
  const counts = { high: 0, low: 0 }
  const handlerOf = (priority: 'high' | 'low', transaction: 'batch' | 'none') => ({
    name: `test.${priority}-${transaction}`,
    on: ['thing.*'],
    start: 'earliest' as const,
    priority,
    transaction,
    async handle() {
      now += 1
      most = Math.max(most, now)
      counts[priority] += 1
      await new Promise((resolve) => setTimeout(resolve, 1))
      now -= 1
    },
  })
  const handlers = [
    handlerOf('high', 'batch'),
    handlerOf('high', 'none'),
    handlerOf('low', 'batch'),
    handlerOf('low', 'none'),
  ]
  const bridge = createBridge({ store: url, registry, handlers, maxConcurrentHandlers: 3 })
  onTestFinished(() => bridge.stop())
  const publisher = createPublisher({ store, registry, source: 'test' })
  await publisher.publishAll(
    Array.from({ length: 200 }, (_, n) => ({ type: 'thing.made', subject: `s/${n}`, data: { n } })),
  )
  await bridge.start()
  await until(() => counts.high === 400 && counts.low === 400, { withinMs: 20_000 })
  expect(most).toBeLessThanOrEqual(3)
  expect(most).toBeGreaterThan(1)
})
