// The events of commerce: products, stock, orders and payments. Money is decimal text, never a float. The tenant stands in
// the data too, so that an event that lost its envelope still says whose it is.
import { z } from 'zod'
import { defineEvent, sensitive } from '../../index.ts'

const money = z.string().regex(/^\d{1,9}\.\d{2}$/)
const currency = z.string().length(3)
const quantity = z.int().min(1).max(100_000)
const reason = z.string().max(500)
const changes = z.array(z.string().min(1))

const product = z.object({
  product_id: z.uuid(),
  tenant_id: z.uuid(),
  product_data: z.object({
    sku: z.string().min(1).max(64),
    title: z.string().min(1).max(200),
    price: money,
    currency,
    /** An alert is due when less than this is left at a location. */
    low_stock_threshold: z.int().min(0).max(1_000),
  }),
})
export const productCreated = defineEvent('product.created', { 1: product })
export const productUpdated = defineEvent('product.updated', { 1: product.extend({ changes }) })
export const productDiscontinued = defineEvent(
  'product.discontinued',
  {
    1: z.object({ product_id: z.uuid(), tenant_id: z.uuid() }),
  },
  { lifecycle: { ends: true } },
)

const stock = z.object({ product_id: z.uuid(), tenant_id: z.uuid(), location_id: z.uuid() })

export const inventoryAdjusted = defineEvent('inventory.adjusted', {
  1: stock.extend({
    delta: z.int().min(-100_000).max(100_000),
    reason: z.enum(['delivery', 'return', 'count', 'damage']),
  }),
})
export const inventoryMoved = defineEvent('inventory.moved', {
  1: z.object({
    product_id: z.uuid(),
    tenant_id: z.uuid(),
    from_location_id: z.uuid(),
    to_location_id: z.uuid(),
    quantity,
  }),
})
/** Said once when the stock falls below the threshold, and again only after it has been above it. */
export const inventoryLowStock = defineEvent('inventory.low_stock', {
  1: stock.extend({ quantity: z.int().min(0), low_stock_threshold: z.int().min(0) }),
})

const item = z.object({
  product_id: z.uuid(),
  sku: z.string().min(1).max(64),
  quantity: z.int().min(1).max(1_000),
  unit_price: money,
})
const orderOf = { order_id: z.uuid(), tenant_id: z.uuid() }
const held = z.object({
  ...orderOf,
  location_id: z.uuid(),
  items: z
    .array(z.object({ product_id: z.uuid(), quantity: z.int().min(1).max(1_000) }))
    .min(1)
    .max(100),
})

export const inventoryReservationRequested = defineEvent('inventory.reservation_requested', { 1: held })
export const inventoryReserved = defineEvent('inventory.reserved', { 1: z.object(orderOf) })
export const inventoryReservationRefused = defineEvent('inventory.reservation_refused', {
  1: z.object({ ...orderOf, reason }),
})
export const inventoryReleaseRequested = defineEvent('inventory.release_requested', { 1: z.object(orderOf) })
export const inventoryReleased = defineEvent('inventory.released', { 1: z.object(orderOf) })

const firstOrder = z.object({ ...orderOf, total: money, currency })

/** Version 1 knew a total only. */
export const orderCreated = defineEvent('order.created', {
  1: firstOrder,
  2: {
    schema: firstOrder.extend({
      customer_id: z.uuid().nullable(),
      location_id: z.uuid().nullable(),
      items: z.array(item).max(100),
    }),
    upcast: (order) => ({ customer_id: null, location_id: null, items: [], ...order }),
  },
})
export const orderConfirmed = defineEvent(
  'order.confirmed',
  { 1: z.object(orderOf) },
  { lifecycle: { after: ['created'] } },
)
export const orderShipped = defineEvent(
  'order.shipped',
  {
    1: z.object({
      ...orderOf,
      carrier: z.enum(['post', 'courier', 'pickup']),
      tracking_token: sensitive(z.string().max(64)),
    }),
  },
  { lifecycle: { after: ['confirmed'] } },
)
export const orderDelivered = defineEvent(
  'order.delivered',
  { 1: z.object(orderOf) },
  { lifecycle: { after: ['shipped'], ends: true } },
)
export const orderCancelled = defineEvent('order.cancelled', { 1: z.object({ ...orderOf, reason }) })

const payment = z.object({ payment_id: z.uuid(), ...orderOf, amount: money, currency })

export const paymentRequested = defineEvent('payment.requested', { 1: payment })
export const paymentAuthorised = defineEvent(
  'payment.authorised',
  {
    1: payment.extend({ card_last_four: sensitive(z.string().length(4)).optional() }),
  },
  { lifecycle: { after: ['requested'] } },
)
export const paymentCaptured = defineEvent('payment.captured', { 1: payment }, { lifecycle: { after: ['authorised'] } })
export const paymentFailed = defineEvent(
  'payment.failed',
  { 1: payment.extend({ reason }) },
  { lifecycle: { after: ['requested'], ends: true } },
)
export const paymentRefunded = defineEvent(
  'payment.refunded',
  { 1: payment },
  { lifecycle: { after: ['captured'], ends: true } },
)
/** The order came to nothing: the provider is to take no money, or to give it back. */
export const paymentVoidRequested = defineEvent(
  'payment.void_requested',
  { 1: payment },
  { lifecycle: { after: ['requested', 'authorised'], ends: true } },
)

/** An order from its creation to its end, and its payment. */
export const lifeOfOrders = [
  orderCreated,
  orderConfirmed,
  orderShipped,
  orderDelivered,
  orderCancelled,
  paymentRequested,
  paymentAuthorised,
  paymentCaptured,
  paymentFailed,
  paymentRefunded,
  paymentVoidRequested,
] as const

export const contracts = [
  productCreated,
  productUpdated,
  productDiscontinued,
  inventoryAdjusted,
  inventoryMoved,
  inventoryLowStock,
  inventoryReservationRequested,
  inventoryReserved,
  inventoryReservationRefused,
  inventoryReleaseRequested,
  inventoryReleased,
  ...lifeOfOrders,
]
