import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import {
  type BridgeOptions,
  createBridge,
  createPublisher,
  createRegistry,
  defineHandler,
  type HandlerDefinition,
  type Middleware,
  type NewEvent,
} from '../../../src/index.ts'
import { commerce } from '../../../src/services/commerce/service.ts'
import { platform } from '../../../src/services/platform/service.ts'
import { createTestDatabase } from '../../setup/database.ts'
import { until } from '../../setup/until.ts'

const of = () => ({ tenant_id: randomUUID() })
const payment = (id: string) => ({ payment_id: id, order_id: id, ...of(), amount: '1.00', currency: 'EUR' })
const stock = (id: string) => ({ product_id: id, ...of(), location_id: id, delta: 1, reason: 'count' })

/** The six handlers, an event that each takes, and what the document says of them. */
const handlers = {
  'platform.tenant-lifecycle': ['critical', 1, (id: string) => ['tenant.suspended', { tenant_id: id, reason: 'x' }]],
  'platform.user-role-management': [
    'high',
    1,
    (id: string) => ['role.changed', { user_id: id, ...of(), role: 'member', changed_by: 'x' }],
  ],
  'commerce.inventory-management': ['high', 1, (id: string) => ['inventory.adjusted', stock(id)]],
  'commerce.order-lifecycle': ['high', 10, (id: string) => ['order.confirmed', { order_id: id, ...of() }]],
  'commerce.commerce-analytics': ['low', 5, (id: string) => ['payment.captured', payment(id)]],
  'platform.platform-analytics': [
    'low',
    10,
    (id: string) => ['feature_flag.used', { tenant_id: id, flag: 'a', enabled: true }],
  ],
} as const
type Name = keyof typeof handlers
const names = Object.keys(handlers) as Name[]

const eventsFor = (name: Name, count: number): NewEvent[] =>
  Array.from({ length: count }, () => {
    const id = randomUUID()
    const [type, data] = handlers[name][2](id)
    return { type: type as string, data, subject: `thing/${id}` }
  })

/** Both services, every handler within the middleware that it gets by its name, and what is published to them. */
async function startWith(
  use: (name: string) => Middleware,
  options: Partial<BridgeOptions> = {},
  mode: Partial<HandlerDefinition> = {},
) {
  const { store, url } = await createTestDatabase()
  const services = [commerce, platform].map((service) => ({
    ...service,
    sagas: [],
    handlers: (service.handlers as readonly HandlerDefinition[]).map((one) => ({
      ...one,
      ...mode,
      use: use(one.name),
    })),
  }))
  const bridge = createBridge({ store: url, services, ...options })
  onTestFinished(() => bridge.stop())
  await bridge.start()
  const registry = createRegistry([...new Set(services.flatMap(({ contracts }) => contracts))])
  const publisher = createPublisher({ store, registry, source: 'test' })
  onTestFinished(() => publisher.close())
  return {
    store,
    bridge,
    publish: (events: readonly NewEvent[]) => store.transaction((sql) => publisher.publish(sql, events)),
  }
}

it('each runs as many events at the same time as the document says, and no more: sequential ones run one', async () => {
  const running = new Map(
    names.map((name) => [name as string, { now: 0, most: 0, done: 0, full: Promise.withResolvers<void>() }]),
  )
  const around = (name: string): Middleware => ({
    async around(_, __, next) {
      const own = running.get(name)
      const most = handlers[name as Name]?.[1] ?? 1
      if (!own) return next()
      own.now += 1
      own.most = Math.max(own.most, own.now)
      if (own.now === most) own.full.resolve()
      await own.full.promise
      // Time for one too many to come in.
      await delay(1)
      const handled = await next()
      own.now -= 1
      own.done += 1
      return handled
    },
  })
  const { publish } = await startWith(around, {}, { takes: 1 })
  for (const name of names) {
    await publish(eventsFor(name, 24))
    await until(() => (running.get(name)?.done ?? 0) >= 24, { withinMs: 20_000, what: `${name} has handled all` })
  }
  expect(names.map((name) => [name, running.get(name)?.most])).toEqual(names.map((name) => [name, handlers[name][1]]))
})

it('of the connections that it fights over with one that says nothing, each gets the share of its priority', async () => {
  const began: string[] = []
  const rivalry = { concurrency: 4, transaction: 'event', takes: 1 } as const
  const held: (() => void)[] = []
  const plug = defineHandler({
    ...{ name: 'test.plug', on: ['plug.pulled'] },
    handle: () => new Promise<void>((resolve) => void held.push(resolve)),
  })
  const rival = defineHandler({
    ...{ name: 'test.rival', on: ['rival.asked'], ...rivalry },
    handle: () => void began.push('test.rival'),
  })
  const { store, bridge, publish } = await startWith(
    (name) => ({ before: () => void began.push(name) }),
    { handlers: [plug, rival], connections: 1 },
    rivalry,
  )
  const inFlight = (name: string) => bridge.stats().handlers.find(({ handler }) => handler === name)?.inFlight ?? 0
  const count = 16
  const shares: Record<string, number> = {}
  for (const name of names) {
    began.length = 0
    await store.query("select evt.publish('plug.pulled', '{}')")
    await until(() => held.length > 0, { withinMs: 15_000, what: 'the plug holds the connection' })
    await publish(eventsFor(name, count))
    await store.query("select evt.publish('rival.asked', '{}', 'thing/' || n) from generate_series(1, $1::int) n", [
      count,
    ])
    await until(() => [name, 'test.rival'].every((one) => inFlight(one) === rivalry.concurrency), { withinMs: 15_000 })
    held.pop()?.()
    const isDone = (one: string) => began.filter((other) => other === one).length === count
    await until(() => isDone(name) && isDone('test.rival'), {
      withinMs: 20_000,
      what: `${name} and its rival are done`,
    })
    const both = began.filter((one) => one === name || one === 'test.rival')
    // Until one of the two has no more.
    const end = Math.min(both.lastIndexOf(name), both.lastIndexOf('test.rival'))
    const fought = both.slice(0, end + 1)
    const own = fought.filter((one) => one === name).length
    shares[name] = own / (fought.length - own)
  }
  // Each class gets twice as much as the one below; to say nothing is `normal`.
  const doublings = { critical: 2, high: 1, low: -1 }
  expect(names.map((name) => [name, Math.round(Math.log2(shares[name] ?? 0))])).toEqual(
    names.map((name) => [name, doublings[handlers[name][0]]]),
  )
})
