import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { compilePattern } from '../../../src/core/pattern.ts'
import { compileWhere } from '../../../src/core/where.ts'
import { createScenarioGenerator } from '../../../src/generators/scenario/scenario-generator.ts'
import { type Bridge, createBridge, createPublisher, createRegistry, publishersOf } from '../../../src/index.ts'
import * as events from '../../../src/services/commerce/contracts.ts'
import { commerce } from '../../../src/services/commerce/service.ts'
import { platform } from '../../../src/services/platform/service.ts'
import { untilSaga } from '../../sagas/running.ts'
import { createTestDatabase, type TestDatabase } from '../../setup/database.ts'
import { until } from '../../setup/until.ts'

const services = [commerce, platform]
const registry = createRegistry([...new Set(services.flatMap(({ contracts }) => contracts))])
let database: TestDatabase
let bridge: Bridge
let publisher: ReturnType<typeof createPublisher>
beforeAll(async () => {
  database = await createTestDatabase()
  bridge = createBridge({ store: database.url, services })
  await bridge.start()
  publisher = createPublisher({ store: database.store, registry, source: 'shop' })
})
afterAll(async () => {
  await publisher.close()
  await bridge.stop()
  await database[Symbol.asyncDispose]()
})

const tenant_id = randomUUID()
const publish = publishersOf((event) => publisher.send({ tenant: tenant_id, ...event }), events)

/** A product with so many in stock, at a place of its own, and an order of three of it. */
async function orderThreeOf(left: number) {
  const [product_id, location_id, order_id] = [randomUUID(), randomUUID(), randomUUID()]
  const product = { sku: 'a-1', title: 'Lamp', price: '12.50', currency: 'EUR', low_stock_threshold: 2 }
  await publish.productCreated({ product_id, tenant_id, product_data: product }, { subject: `product/${product_id}` })
  await publish.inventoryAdjusted(
    { product_id, tenant_id, location_id, delta: left, reason: 'delivery' },
    { subject: `product/${product_id}` },
  )
  await until(async () => (await stockOf(product_id)) === left)
  await publish.orderCreated(
    {
      ...{ order_id, tenant_id, customer_id: null, location_id, total: '37.50', currency: 'EUR' },
      items: [{ product_id, sku: 'a-1', quantity: 3, unit_price: '12.50' }],
    },
    { subject: `order/${order_id}` },
  )
  return { product_id, order_id }
}
const rows = async (text: string, ...values: unknown[]) => (await database.store.query(text, values)).rows
const stockOf = async (id: string) =>
  (await rows('select quantity from commerce.stock where product_id = $1', id))[0]?.quantity
const statusOf = async (id: string) =>
  (await rows('select status from commerce.orders where order_id = $1', id))[0]?.status
const paymentOf = async (id: string) =>
  (await rows('select status from commerce.payments where payment_id = $1', id))[0]?.status
const typesOf = async (id: string) =>
  (await rows("select type from evt.outbox where data->>'order_id' = $1 order by seq", id)).map(({ type }) => type)
const payment = (order_id: string) => ({ payment_id: order_id, order_id, tenant_id, amount: '37.50', currency: 'EUR' })

describe('a checkout', () => {
  it('takes stock, then money, and confirms the order; analytics of commerce and platform have heard of it', async () => {
    const { order_id, product_id } = await orderThreeOf(4)
    await until(async () => (await paymentOf(order_id)) === 'requested')
    expect(await stockOf(product_id)).toBe(1)
    await publish.paymentAuthorised(payment(order_id), { subject: `payment/${order_id}` })
    await until(async () => (await statusOf(order_id)) === 'confirmed')
    expect(await typesOf(order_id)).toEqual([
      ...['order.created', 'inventory.reservation_requested', 'inventory.reserved'],
      ...['payment.requested', 'payment.authorised', 'order.confirmed'],
    ])
    const low = () =>
      rows("select data from evt.outbox where type = 'inventory.low_stock' and subject = $1", `product/${product_id}`)
    expect(await low()).toMatchObject([{ data: { quantity: 1, low_stock_threshold: 2 } }])
    await until(
      async () => (await rows('select from commerce.sold_items where product_id = $1', product_id)).length === 1,
    )
    await until(async () => (await rows('select from platform.usage where subject_id = $1', order_id)).length === 1)
  })

  it('that cannot be paid gives the stock back and cancels the order', async () => {
    const { order_id, product_id } = await orderThreeOf(5)
    await until(async () => (await paymentOf(order_id)) === 'requested')
    await publish.paymentFailed({ ...payment(order_id), reason: 'card declined' }, { subject: `payment/${order_id}` })
    await until(async () => (await statusOf(order_id)) === 'cancelled')
    await until(async () => (await stockOf(product_id)) === 5)
    expect(await typesOf(order_id)).toEqual(
      expect.arrayContaining(['inventory.release_requested', 'inventory.released']),
    )
    expect(await typesOf(order_id)).not.toContain('order.confirmed')
    const [saga] = await rows('select status, reason from evt.sagas where key = $1', order_id)
    expect(saga).toMatchObject({ status: 'failed' })
  })

  it('of more than there is takes nothing, asks for no money and cancels the order', async () => {
    const { order_id, product_id } = await orderThreeOf(2)
    await until(async () => (await statusOf(order_id)) === 'cancelled')
    expect(await typesOf(order_id)).toEqual(
      expect.arrayContaining(['inventory.reservation_refused', 'order.cancelled']),
    )
    expect(await typesOf(order_id)).not.toContain('payment.requested')
    expect(await stockOf(product_id)).toBe(2)
  })

  it('of an order that the customer cancels meanwhile takes no money and confirms nothing', async () => {
    const { order_id, product_id } = await orderThreeOf(10)
    await until(async () => (await paymentOf(order_id)) === 'requested')
    await publish.orderCancelled({ order_id, tenant_id, reason: 'changed my mind' }, { subject: `order/${order_id}` })
    await until(async () => (await paymentOf(order_id)) === 'void_requested')
    await publish.paymentAuthorised(payment(order_id), { subject: `payment/${order_id}` })
    await untilSaga(database.store, 'commerce.checkout', order_id, 'failed')
    await until(async () => (await stockOf(product_id)) === 10)
    expect(await statusOf(order_id)).toBe('cancelled')
    expect((await typesOf(order_id)).filter((type) => String(type).startsWith('order.'))).toEqual([
      'order.created',
      'order.cancelled',
    ])
  })

  it('is none for an order that says neither what nor where', async () => {
    const order_id = randomUUID()
    await publisher.send({
      ...{ type: 'order.created', version: 1, subject: `order/${order_id}` },
      data: { order_id, tenant_id, total: '9.99', currency: 'EUR' },
    })
    await until(async () => (await statusOf(order_id)) === 'created')
    await until(async () => (await rows('select from platform.usage where subject_id = $1', order_id)).length === 1)
    expect(await rows('select from evt.sagas where key = $1', order_id)).toEqual([])
  })
})

it('an adjustment below zero is a dead letter that says what was there, and the next one is handled', async () => {
  const [product_id, location_id] = [randomUUID(), randomUUID()]
  const adjust = (delta: number) =>
    publish.inventoryAdjusted(
      { product_id, tenant_id, location_id, delta, reason: 'count' },
      { subject: `product/${product_id}` },
    )
  await adjust(-1)
  await adjust(5)
  await until(async () => (await stockOf(product_id)) === 5)
  expect(
    await rows(
      'select handler, error_class, error_message, jsonb_array_length(attempts) as attempts from evt.dead_letters where subject = $1',
      `product/${product_id}`,
    ),
  ).toEqual([
    {
      handler: 'commerce.inventory-management',
      error_class: 'InsufficientStockError',
      error_message: `product ${product_id} at location ${location_id} has 0, not 1`,
      attempts: 1,
    },
  ])
})

it.each(services.flatMap(({ scenarios = [] }) => scenarios.map((one) => [one.scenario, one] as const)))(
  'in the scenario %s, everything comes that is expected, and nothing fails',
  async (_, definition) => {
    const dead = async () => (await rows('select type, error_message from evt.dead_letters')).length
    const before = await dead()
    const scenarios = [{ definition, place: definition.scenario }]
    const generator = createScenarioGenerator({ registry, scenarios, seed: 5, nowMs: Date.now(), count: 2 })
    let met = 0
    for (let item = generator.next(); item; item = generator.next()) {
      if ('event' in item) {
        expect((await publisher.send(item.event)).state).toBe('stored')
        continue
      }
      const [types, condition] = [
        compilePattern(item.expectation.pattern),
        compileWhere(item.expectation.where ?? 'true', { nowMs: Date.now() }),
      ]
      await until(
        async () =>
          (await rows('select type, data from evt.outbox')).some(
            (one) => types.matches(String(one.type)) && condition.test(one),
          ),
        { withinMs: 20_000, what: `${item.expectation.pattern} where ${item.expectation.where}` },
      )
      met += 1
    }
    expect(met).toBeGreaterThan(1)
    expect(await dead()).toBe(before)
  },
)
