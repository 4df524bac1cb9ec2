import { createHash, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { encodeAs } from '../../src/core/codec/encode-as.ts'
import { decodeAny } from '../../src/core/codec.ts'
import {
  type Bridge,
  createBridge,
  createEventBus,
  createPublisher,
  createRegistry,
  type EvtEvent,
  type NewEvent,
  publishersOf,
} from '../../src/index.ts'
import { accounts } from '../../src/services/accounts/service.ts'
import * as commerceEvents from '../../src/services/commerce/contracts.ts'
import { commerce } from '../../src/services/commerce/service.ts'
import * as platformEvents from '../../src/services/platform/contracts.ts'
import { platform } from '../../src/services/platform/service.ts'
import { createTestDatabase, type TestDatabase } from '../setup/database.ts'
import { describeWith, serverUrl } from '../setup/shared-servers.ts'
import { until } from '../setup/until.ts'

const services = [accounts, commerce, platform]
const registry = createRegistry([...new Set(services.flatMap(({ contracts }) => contracts))])
const id = (): string => randomUUID()
const [tenant, order_id, user_id, session_id, location_id] = [id(), id(), id(), id(), id()]
const anOrder = {
  ...{ order_id, tenant_id: tenant, customer_id: null, location_id, total: '12.50', currency: 'EUR' },
  items: [{ product_id: randomUUID(), sku: 'a-1', quantity: 1, unit_price: '12.50' }],
}
const fill = (event: NewEvent): EvtEvent => ({
  ...{
    id: randomUUID(),
    version: 1,
    source: 'commerce',
    time: '2026-01-05T08:00:00Z',
    priority: 'normal',
    metadata: {},
  },
  ...event,
})

describe('the builder', () => {
  const build = publishersOf(fill, commerceEvents)

  it('of the document is a typed publisher: what it makes is the event that the document builds', () => {
    const event = build.orderCreated(anOrder, {
      ...{ subject: `order/${order_id}`, tenant, actor: { userId: user_id, sessionId: session_id } },
      metadata: { location_id },
    })
    const { body } = encodeAs('domain-events', event)
    expect(JSON.parse(Buffer.from(body).toString())).toMatchObject({
      ...{ event_type: 'OrderCreated', aggregate_id: order_id, aggregate_type: 'Order', tenant_id: tenant },
      ...{ version: '2.0.0', user_context: { user_id, session_id }, location_id, data: anOrder },
    })
  })

  it('carries correlation, tracing and business context, and a revision in dataschema', () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const event = build.orderCreated(anOrder, {
      ...{ subject: `order/${order_id}`, correlationId: 'checkout-1', causationId: 'cart-7', traceparent },
      metadata: { channel: 'kiosk', dataschema: 'urn:evt:version:2.1.0' },
    })
    const sent = encodeAs('cloudevents', event)
    const { event: read } = decodeAny(sent.body, { topic: 'x', time: event.time, id: 'x', headers: sent.headers })
    expect(read).toMatchObject({ version: 2, correlationId: 'checkout-1', causationId: 'cart-7', traceparent })
    expect(read.metadata).toMatchObject({ channel: 'kiosk', dataschema: 'urn:evt:version:2.1.0' })
    const { body } = encodeAs('domain-events', event)
    expect(JSON.parse(Buffer.from(body).toString())).toMatchObject({ version: '2.1.0' })
  })

  it('makes, serialises and reads more than 1,000 events a second', () => {
    const begun = performance.now()
    for (let made = 0; made < 2_000; made++) {
      const event = build.orderCreated(anOrder, { subject: `order/${made}` })
      decodeAny(encodeAs('domain-events', event).body, { topic: 'x', time: event.time, id: 'x' })
    }
    expect(2_000 / ((performance.now() - begun) / 1_000)).toBeGreaterThan(1_000)
  })
})

it('legacy and versioned events are in one container, and one handler takes both as the latest version', () => {
  const inner = { event_id: randomUUID(), event_type: 'OrderCreated', aggregate_id: order_id, aggregate_type: 'Order' }
  const { tenant_id, total, currency } = anOrder
  const wires = {
    Legacy: { ...inner, version: '1.0.0', data: { order_id, tenant_id, total, currency } },
    Versioned: { ...inner, version: '2.0.0', data: anOrder },
  }
  const items = Object.entries(wires).map(([kind, wire]) => {
    const context = { topic: 'x', time: '2026-01-05T08:00:00Z', id: 'x' }
    const { event } = decodeAny(JSON.stringify({ [kind]: { timestamp: context.time, ...wire } }), context)
    registry.validate(event)
    return (registry.migrate(event, 2).data as typeof anOrder).items.length
  })
  expect(items).toEqual([0, 1])
})

describe('the publisher', () => {
  /** Memory in place of Redis, and all that the document configures. */
  const start = async (more: object = {}) => {
    const bus = createEventBus({
      ...{ url: `memory://seed4-${randomUUID()}`, registry, source: 'commerce' },
      publish: {
        ...{ batch: { size: 100 }, rate: '1000/s', duplicates: { by: 'content', window: '3600s' } },
        ...{ retry: { initial: '1s' }, deadLetters: true, compress: '16kB' },
      },
      ...more,
    })
    await bus.start()
    onTestFinished(() => bus.stop())
    return bus
  }

  it('takes the configuration of the document: the same content is published once, and critical events have their own way', async () => {
    const bus = await start()
    const event = { type: 'order.created', subject: `order/${order_id}`, data: anOrder }
    expect((await bus.publish(event)).state).toBe('stored')
    expect((await bus.publish({ ...event, id: randomUUID() })).state).toBe('duplicate')
    expect(
      (await bus.publish({ type: 'tenant.reactivated', priority: 'critical', data: { tenant_id: tenant } })).state,
    ).toBe('stored')
  })

  it.each([
    ['invalid data', { total: 12.5 }, /data\.total/],
    ['null data', null, /expected object/],
    ['more than 1 MiB', { padding: 'x'.repeat(1_048_577) }, /1048576|1 MiB|large/],
  ])('refuses %s, and says why', async (_, change, message) => {
    const bus = await start()
    const data = change === null ? null : { ...anOrder, ...change }
    const outcome = await bus.publish({ type: 'order.created', data })
    expect(outcome).toMatchObject({ state: 'refused', error: { message: expect.stringMatching(message) } })
    expect((await bus.publish({ type: 'order.created', data: anOrder })).state).toBe('stored')
  })
})

describe('handlers', () => {
  it('are registered at the same time, hear by wildcards, recover, and do not hold each other up', async () => {
    const bus = createEventBus({ url: `memory://seed4-${randomUUID()}`, registry })
    await bus.start()
    onTestFinished(() => bus.stop())
    const heard = new Map<string, number>()
    const patterns = ['*', 'order.*', '*.created', 'order.created', 'payment.*']
    const hear = (name: string) => () => void heard.set(name, (heard.get(name) ?? 0) + 1)
    let tries = 0
    const retry = { attempts: 3, initial: '1ms' }
    await Promise.all([
      ...patterns.map((pattern) =>
        bus.subscribe(pattern, hear(pattern), { name: `seed.${patterns.indexOf(pattern)}` }),
      ),
      bus.subscribe('order.*', () => Promise.reject(new Error('always')), { name: 'seed.broken', retry }),
      bus.subscribe(
        'order.*',
        () => {
          tries += 1
          if (tries === 1) throw new Error('once')
          hear('recovered')()
        },
        { name: 'seed.recovers', retry },
      ),
    ])
    for (let n = 0; n < 10; n++)
      await bus.publish({ type: 'order.created', subject: `order/${n}`, data: { ...anOrder, order_id: randomUUID() } })
    await until(
      () =>
        heard.get('recovered') === 10 &&
        ['*', 'order.*', '*.created', 'order.created'].every((one) => heard.get(one) === 10),
    )
    expect(heard.get('payment.*')).toBeUndefined()
  })
})

describe('the flows between accounts, commerce and platform', () => {
  let database: TestDatabase
  let bridge: Bridge
  let publisher: ReturnType<typeof createPublisher>
  const rows = async (text: string, ...values: unknown[]) => (await database.store.query(text, values)).rows
  const send = (type: string, subject: string, data: object) => publisher.send({ type, subject, tenant, data })
  beforeAll(async () => {
    database = await createTestDatabase()
    bridge = createBridge({
      ...{ store: database.url, services },
      retention: { types: { 'payment.*': 'audit', 'auth.*': 'audit', 'feature_flag.used': 'scratch' } },
    })
    await bridge.start()
    publisher = createPublisher({ store: database.store, registry, source: 'seed' })
    const tenant_data = { company_name: 'Olympus', owner_email: 'o@example.com', country: 'DE', plan: 'enterprise' }
    await send('tenant.created', `tenant/${tenant}`, { tenant_id: tenant, tenant_data })
    await until(async () => (await rows('select from accounts.tenant_configuration')).length === 1)
  })
  afterAll(async () => {
    await publisher.close()
    await bridge.stop()
    await database[Symbol.asyncDispose]()
  })

  it('registration: the account is set up with its role, and the tenant has one user more', async () => {
    const user = { user_id, username: 'ada', email: 'ada@example.com', roles: [], tenant_id: tenant }
    await send('user.registered', `user/${user_id}`, { ...user, registered_by: 'invitation' })
    await until(async () => (await rows('select from accounts.users where user_id = $1', user_id)).length === 1)
    await until(async () => (await rows('select users from platform.tenant_metrics'))[0]?.users === '1')
    const roles = async () =>
      String(
        (await rows('select roles from accounts.roles where user_id = $1 and tenant = $2', user_id, tenant))[0]?.roles,
      )
    await until(async () => (await roles()) === 'member')
  })

  it('order created: inventory, analytics and the platform have heard of it', async () => {
    await send('order.created', `order/${order_id}`, anOrder)
    const from = async (table: string, where = 'order_id') =>
      (await rows(`select from ${table} where ${where} = $1`, order_id)).length
    await until(async () => (await from('commerce.orders')) === 1 && (await from('commerce.reservations')) === 1)
    await until(async () => (await rows('select from commerce.sold_items')).length === 1)
    await until(async () => (await rows('select orders from platform.tenant_metrics'))[0]?.orders === '1')
  })

  it('login attempt: looked at for threats by what the tenant asks for, and in the audit log', async () => {
    const auth_data = { ip: '10.0.0.1', user_agent: 'x', country: 'DE' }
    for (let n = 0; n < 3; n++)
      await send('auth.login_failed', `user/${user_id}`, { user_id, auth_data, reason: 'wrong_password' })
    await until(async () => (await rows('select from accounts.lockouts where user_id = $1', user_id)).length === 1)
    const audited = "select from accounts.auth_audit where type in ('auth.login_failed', 'auth.account_locked')"
    await until(async () => (await rows(audited)).length === 4)
  })

  it('all of it is in the store with its SHA-256, and is kept as long as its type says', async () => {
    await send('feature_flag.used', `tenant/${tenant}`, { tenant_id: tenant, flag: 'a', enabled: true })
    await send('payment.refunded', `payment/${order_id}`, {
      ...{ payment_id: order_id, order_id, tenant_id: tenant, amount: '12.50', currency: 'EUR' },
    })
    const kept = await rows('select type, class, checksum, data::text as text from evt.outbox')
    const classOf = Object.fromEntries(kept.map(({ type, class: name }) => [type, name]))
    expect(classOf).toMatchObject({
      ...{ 'payment.refunded': 'audit', 'auth.login_failed': 'audit' },
      ...{ 'feature_flag.used': 'scratch', 'order.created': 'default' },
    })
    for (const { checksum, text } of kept.filter((one) => one.checksum !== null))
      expect(checksum).toBe(createHash('sha256').update(String(text)).digest('hex'))
    expect(kept.some(({ checksum }) => checksum !== null)).toBe(true)
  })

  it('handles more than 50 events a second', async () => {
    const build = publishersOf((event) => publisher.send(event), platformEvents)
    const begun = performance.now()
    const flag = { tenant_id: randomUUID(), flag: 'load', enabled: true }
    await Promise.all(Array.from({ length: 200 }, (_, n) => build.featureFlagUsed(flag, { subject: `tenant/${n}` })))
    const met = async () => (await rows("select met from platform.feature_flag_usage where flag = 'load'"))[0]?.met
    await until(async () => (await met()) === '200', { withinMs: 20_000 })
    expect(200 / ((performance.now() - begun) / 1_000)).toBeGreaterThan(50)
  })
})

describeWith('redis', 'a second region', () => {
  it('has every event once, of either origin, and no event goes round', async () => {
    const url = await serverUrl('redis')
    const run = randomUUID().slice(0, 8)
    const region = async (here: string, there: string, runs: (typeof services)[number]) => {
      const { store } = await createTestDatabase()
      const bridge = createBridge({
        ...{ store, services: [runs], registry },
        sinks: [{ name: 'out', url, topic: `seed4-${run}-${here}`, start: 'earliest' }],
        sources: [{ name: 'in', url, topic: `seed4-${run}-${there}`, start: 'earliest' }],
      })
      onTestFinished(() => bridge.stop())
      await bridge.start()
      const publisher = createPublisher({ store, registry, source: here })
      onTestFinished(() => publisher.close())
      return { store, bridge, send: publisher.send }
    }
    const [east, west] = await Promise.all([region('east', 'west', platform), region('west', 'east', commerce)])
    const location_data = { name: 'Harbour', city: 'Kiel', country: 'DE', is_active: true }
    const [locations, orders] = [40, 30]
    // Enough of them that each lane between the two has some.
    for (const [n, location_id] of Array.from({ length: locations }, id).entries()) {
      const data = { location_id, tenant_id: tenant, location_data }
      await east.send({ type: 'location.created', subject: `location/${location_id}`, data })
      if (n >= orders) continue
      const order = { order_id: id(), tenant_id: tenant, total: '1.00', currency: 'EUR' }
      await west.send({ type: 'order.created', version: 1, subject: `order/${order.order_id}`, data: order })
    }
    const count = async ({ store }: typeof east, from: string) =>
      Number((await store.query(`select count(*) as n from ${from}`)).rows[0]?.n)
    const slow = { withinMs: 20_000 }
    await until(async () => (await count(west, 'commerce.locations')) === locations, slow)
    await until(async () => (await count(east, 'platform.usage')) === orders, slow)
    // What came in from the other goes out again, and is refused there by its origin.
    const looped = ({ bridge }: typeof east) => bridge.stats().sources?.[0]?.looped
    await until(() => looped(east) === locations && looped(west) === orders, slow)
    for (const one of [east, west]) expect(await count(one, 'evt.outbox')).toBe(locations + orders)
  })
})
