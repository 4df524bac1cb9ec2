import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { commerce } from '../../../src/services/commerce/service.ts'
import { at, openServiceDatabase, type ServiceDatabase } from './service-database.ts'

let here: ServiceDatabase
beforeAll(async () => {
  here = await openServiceDatabase([commerce])
})
afterAll(() => here[Symbol.asyncDispose]())

const tenant_id = randomUUID()
const productEvent = (verb: string, product_id: string, second: number, more: object = {}) => {
  const product_data = { sku: 'a-1', title: 'Lamp', price: '12.50', currency: 'EUR', low_stock_threshold: 5, ...more }
  return here.event(`product.${verb}`, second, {
    ...{ product_id, tenant_id },
    ...(verb === 'discontinued' ? {} : { product_data }),
    ...(verb === 'updated' ? { changes: Object.keys(more) } : {}),
  })
}
const adjusted = (product_id: string, location_id: string, delta: number) =>
  here.event('inventory.adjusted', 10, { product_id, tenant_id, location_id, delta, reason: 'count' })
const stockOf = (product_id: string) =>
  here.rows('select location_id, quantity from commerce.stock where product_id = $1 order by quantity desc', product_id)

describe('order-lifecycle', () => {
  const order = (id: string) => ({ order_id: id, tenant_id })
  const created = (id: string, second: number) =>
    here.event('order.created', second, {
      ...order(id),
      ...{ total: '25.00', currency: 'EUR', customer_id: randomUUID(), location_id: randomUUID() },
      items: [{ product_id: randomUUID(), sku: 'a-1', quantity: 2, unit_price: '12.50' }],
    })
  const payment = (id: string, status: string, second: number, more: object = {}) =>
    here.event(`payment.${status}`, second, { payment_id: id, ...order(id), amount: '25.00', currency: 'EUR', ...more })
  const shipping = { carrier: 'post', tracking_token: 't-1' }
  const overview = (id: string) => here.rows('select * from commerce.order_overview where order_id = $1', id)

  it('takes an order from creation to delivery, with a payment beside it, and measures the way', async () => {
    const id = randomUUID()
    await here.succeed(created(id, 1), payment(id, 'requested', 2), payment(id, 'authorised', 3))
    await here.succeed(here.event('order.confirmed', 4, order(id)), payment(id, 'captured', 5))
    expect(await overview(id)).toMatchObject([
      { status: 'confirmed', total: '25.00', payment_status: 'captured', captured: '25.00', refunded: '0' },
    ])
    const delivered = here.event('order.delivered', 41, order(id))
    await here.succeed(here.event('order.shipped', 6, { ...order(id), ...shipping }), delivered, delivered)
    expect(await overview(id)).toMatchObject([{ status: 'delivered' }])
    expect(await here.rows('select status from commerce.order_steps where order_id = $1 order by at', id)).toEqual(
      ['created', 'confirmed', 'shipped', 'delivered'].map((status) => ({ status })),
    )
    expect(await here.rows('select * from commerce.order_metrics where tenant_id = $1', tenant_id)).toMatchObject([
      { orders: '1', delivered: '1', cancelled: '0', mean_seconds_to_delivery: '40.0000000000000000' },
    ])
  })

  it('keeps why a payment failed, and what was given back', async () => {
    const [failed, refunded] = [randomUUID(), randomUUID()]
    await here.succeed(created(failed, 1), payment(failed, 'failed', 2, { reason: 'card expired' }))
    expect(await here.rows('select status, reason from commerce.payments where order_id = $1', failed)).toEqual([
      { status: 'failed', reason: 'card expired' },
    ])
    await here.succeed(created(refunded, 1), payment(refunded, 'captured', 2), payment(refunded, 'refunded', 3))
    expect(await overview(refunded)).toMatchObject([{ captured: '25.00', refunded: '25.00' }])
  })

  it('changes nothing by an older event, nor after the end of an order', async () => {
    const id = randomUUID()
    const confirmed = here.event('order.confirmed', 2, order(id))
    await here.succeed(created(id, 1), here.event('order.shipped', 3, { ...order(id), ...shipping }), confirmed)
    expect(await overview(id)).toMatchObject([{ status: 'shipped' }])
    await here.succeed(here.event('order.cancelled', 4, { ...order(id), reason: 'lost' }))
    await here.succeed(here.event('order.delivered', 5, order(id)), created(id, 1))
    expect(await overview(id)).toMatchObject([{ status: 'cancelled', total: '25.00' }])
    await here.succeed(payment(id, 'captured', 5), payment(id, 'requested', 4))
    expect(await overview(id)).toMatchObject([{ payment_status: 'captured' }])
  })

  it('goes forward by what an event is, whatever the clock of its publisher', async () => {
    const id = randomUUID()
    await here.succeed(created(id, 1), here.event('order.confirmed', 99, order(id)), payment(id, 'requested', 99))
    await here.succeed(here.event('order.shipped', 3, { ...order(id), ...shipping }), payment(id, 'captured', 3))
    expect(await overview(id)).toMatchObject([{ status: 'shipped', payment_status: 'captured' }])
    await here.succeed(payment(id, 'refunded', 4), payment(id, 'captured', 5))
    expect(await overview(id)).toMatchObject([{ payment_status: 'refunded' }])
  })

  it.each([
    ['order.cancelled', 'order.confirmed'],
    ['order.confirmed', 'order.cancelled'],
  ])('voids the payment of an order once that met both %s and %s', async (...types) => {
    const id = randomUUID()
    const both = types.map((type) =>
      here.event(type, 4, { ...order(id), ...(type === 'order.cancelled' ? { reason: 'x' } : {}) }),
    )
    await here.succeed(created(id, 1), payment(id, 'requested', 2))
    const voided = { payment_id: id, order_id: id, tenant_id, amount: '25.00', currency: 'EUR' }
    const said = await here.succeed(...both, ...both)
    expect(said.filter(({ type }) => type.startsWith('payment.'))).toMatchObject([
      { type: 'payment.void_requested', subject: `payment/${id}`, data: voided },
    ])
    expect(await overview(id)).toMatchObject([{ status: 'cancelled' }])
  })

  it('takes an order of version 1 as one that says neither what nor where', async () => {
    const id = randomUUID()
    await here.succeed(here.event('order.created', 1, { ...order(id), total: '9.99', currency: 'EUR' }, { version: 1 }))
    expect(await here.rows('select total, location_id from commerce.orders where order_id = $1', id)).toEqual([
      { total: '9.99', location_id: null },
    ])
  })
})

describe('inventory-management', () => {
  it('keeps products as they were last said to be; a discontinued one stays so', async () => {
    const id = randomUUID()
    const read = () => here.rows('select price, is_discontinued from commerce.products where product_id = $1', id)
    await here.succeed(productEvent('updated', id, 3, { price: '10.00' }), productEvent('created', id, 1))
    expect(await read()).toEqual([{ price: '10.00', is_discontinued: false }])
    await here.succeed(productEvent('discontinued', id, 2), productEvent('updated', id, 5, { price: '1.00' }))
    expect(await read()).toEqual([{ price: '10.00', is_discontinued: true }])
  })

  it('sets up the locations of the platform', async () => {
    const location_id = randomUUID()
    const location = (verb: string, second: number) =>
      here.event(`location.${verb}`, second, {
        ...{ location_id, tenant_id },
        location_data: { name: 'Harbour', city: 'Kiel', country: 'DE', is_active: true },
      })
    await here.succeed(location('closed', 2), location('created', 1))
    expect(await here.rows('select name, is_open from commerce.locations where location_id = $1', location_id)).toEqual(
      [{ name: 'Harbour', is_open: false }],
    )
  })

  it('counts an adjustment once, however often it comes', async () => {
    const [product, location_id] = [randomUUID(), randomUUID()]
    const delivery = adjusted(product, location_id, 20)
    await here.succeed(delivery, adjusted(product, location_id, -3), delivery)
    expect(await stockOf(product)).toEqual([{ location_id, quantity: 17 }])
  })

  it('moves stock from one location to another', async () => {
    const [product, from, to] = [randomUUID(), randomUUID(), randomUUID()]
    const moved = here.event('inventory.moved', 11, {
      ...{ product_id: product, tenant_id, from_location_id: from, to_location_id: to, quantity: 8 },
    })
    await here.succeed(adjusted(product, from, 20), moved, moved)
    expect(await stockOf(product)).toEqual([
      { location_id: from, quantity: 12 },
      { location_id: to, quantity: 8 },
    ])
  })

  it('never goes below zero: it fails, says what was there, and changes nothing', async () => {
    const [product, from, to] = [randomUUID(), randomUUID(), randomUUID()]
    await here.succeed(adjusted(product, from, 3))
    const moved = here.event('inventory.moved', 11, {
      ...{ product_id: product, tenant_id, from_location_id: from, to_location_id: to, quantity: 4 },
    })
    for (const event of [moved, adjusted(product, from, -4)]) {
      const [outcome] = await here.handle(event)
      expect(outcome?.error).toMatchObject({
        name: 'InsufficientStockError',
        message: `product ${product} at location ${from} has 3, not 4`,
      })
    }
    expect(await stockOf(product)).toEqual([{ location_id: from, quantity: 3 }])
  })

  it('says that stock is low once a crossing, and again after it was not', async () => {
    const [product, location_id] = [randomUUID(), randomUUID()]
    await here.succeed(productEvent('created', product, 1))
    const alerts = async (delta: number) =>
      (await here.succeed(adjusted(product, location_id, delta))).map(({ data }) => data)
    expect(await alerts(6)).toEqual([])
    expect(await alerts(-2)).toEqual([
      { product_id: product, tenant_id, location_id, quantity: 4, low_stock_threshold: 5 },
    ])
    expect(await alerts(-1)).toEqual([])
    expect(await alerts(10)).toEqual([])
    expect(await alerts(-9)).toMatchObject([{ quantity: 4 }])
  })

  it('says that stock is low where the threshold was raised above it', async () => {
    const [product, location_id] = [randomUUID(), randomUUID()]
    await here.succeed(productEvent('created', product, 1), adjusted(product, location_id, 6))
    const raised = await here.succeed(productEvent('updated', product, 2, { low_stock_threshold: 7 }))
    expect(raised).toMatchObject([{ type: 'inventory.low_stock', data: { quantity: 6, low_stock_threshold: 7 } }])
  })

  describe('reserves for an order', () => {
    const request = (order_id: string, location_id: string, quantities: Readonly<Record<string, number>>) =>
      here.event('inventory.reservation_requested', 12, {
        ...{ order_id, tenant_id, location_id },
        items: Object.entries(quantities).map(([product_id, quantity]) => ({ product_id, quantity })),
      })

    it('all items, once, and gives them back once', async () => {
      const [order, location, one, two] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()]
      await here.succeed(adjusted(one, location, 9), adjusted(two, location, 9))
      const requested = request(order, location, { [one]: 4, [two]: 9 })
      expect(await here.succeed(requested, requested)).toMatchObject([
        { type: 'inventory.reserved', subject: `order/${order}` },
      ])
      expect([await stockOf(one), await stockOf(two)]).toMatchObject([[{ quantity: 5 }], [{ quantity: 0 }]])
      const releases = ['inventory.release_requested', 'order.cancelled'].map((type) =>
        here.event(type, 13, { order_id: order, tenant_id, ...(type === 'order.cancelled' ? { reason: 'x' } : {}) }),
      )
      expect(await here.succeed(...releases)).toMatchObject([{ type: 'inventory.released' }])
      expect([await stockOf(one), await stockOf(two)]).toMatchObject([[{ quantity: 9 }], [{ quantity: 9 }]])
    })

    it('nothing where one item is missing, and says which', async () => {
      const [order, location, one, two] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()]
      await here.succeed(adjusted(one, location, 9), adjusted(two, location, 1))
      expect(await here.succeed(request(order, location, { [one]: 4, [two]: 2 }))).toMatchObject([
        { type: 'inventory.reservation_refused', data: { reason: `product ${two}: 1 of 2 left` } },
      ])
      expect(await stockOf(one)).toMatchObject([{ quantity: 9 }])
    })

    it('nothing where it was released before, and says so once', async () => {
      const [order, location, one] = [randomUUID(), randomUUID(), randomUUID()]
      await here.succeed(adjusted(one, location, 9))
      await here.succeed(here.event('inventory.release_requested', 11, { order_id: order, tenant_id }))
      const requested = request(order, location, { [one]: 4 })
      expect(await here.succeed(requested, requested)).toMatchObject([
        { type: 'inventory.reservation_refused', data: { order_id: order, reason: 'the order is closed' } },
      ])
      expect(await stockOf(one)).toMatchObject([{ quantity: 9 }])
    })
  })
})

describe('commerce-analytics', () => {
  it('knows revenue, refunds and best sellers, each event once', async () => {
    const [tenant, product] = [randomUUID(), randomUUID()]
    const sale = (second: number, amount: string, verb = 'captured') =>
      here.event(`payment.${verb}`, second, {
        ...{ payment_id: randomUUID(), order_id: randomUUID(), tenant_id: tenant, amount, currency: 'EUR' },
      })
    const item = { product_id: product, sku: 'a-1', unit_price: '12.50' }
    const order = here.event('order.created', 1, {
      ...{ order_id: randomUUID(), tenant_id: tenant, total: '37.50', currency: 'EUR' },
      ...{ customer_id: null, location_id: null },
      items: [
        { ...item, quantity: 1 },
        { ...item, quantity: 2 },
      ],
    })
    const all = [order, sale(2, '37.50'), sale(3, '12.50'), sale(4, '12.50', 'refunded')]
    await here.succeed(...all, ...all)
    expect(await here.rows('select * from commerce.business_figures where tenant_id = $1', tenant)).toEqual([
      {
        ...{ tenant_id: tenant, currency: 'EUR', sales: '2', revenue: '50.00', refunded: '12.50' },
        ...{ average_sale: '25.00', refund_share: '0.2500' },
      },
    ])
    expect(await here.rows('select sold, revenue from commerce.best_sellers where tenant_id = $1', tenant)).toEqual([
      { sold: '3', revenue: '37.50' },
    ])
    expect(await here.rows('select day::text, sales from commerce.daily_sales where tenant_id = $1', tenant)).toEqual([
      { day: at(0).slice(0, 10), sales: '2' },
    ])
  })
})
