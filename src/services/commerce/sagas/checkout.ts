import { z } from 'zod'
import { defineSaga, type EvtEvent } from '../../../index.ts'
import {
  inventoryReleaseRequested,
  inventoryReservationRefused,
  inventoryReservationRequested,
  inventoryReserved,
  orderCancelled,
  orderConfirmed,
  orderCreated,
  paymentAuthorised,
  paymentFailed,
  paymentRequested,
  paymentVoidRequested,
} from '../contracts.ts'

const byOrder = ({ data }: EvtEvent<{ readonly order_id: string }>) => data.order_id

const state = z.object({
  order_id: z.uuid(),
  tenant_id: z.uuid(),
  location_id: z.uuid(),
  total: z.string(),
  currency: z.string(),
  items: z.array(z.object({ product_id: z.uuid(), quantity: z.int() })),
})
type Checkout = z.infer<typeof state>

const orderOf = ({ order_id, tenant_id }: Checkout) => ({ order_id, tenant_id })
const subjectOf = ({ order_id }: Checkout) => `order/${order_id}`

/** The payment of a checkout has the order's id: asked for twice, it is one payment. */
const paymentOf = (order: Checkout) => ({
  payment_id: order.order_id,
  ...orderOf(order),
  amount: order.total,
  currency: order.currency,
})

/** From an order to its confirmation: stock is taken, then money; without the money the stock is given back. */
export const checkout = defineSaga({
  name: 'commerce.checkout',
  startsOn: orderCreated,
  // An order of the first version says neither where nor what: there is nothing to take.
  correlate: ({ data }) => (data.location_id === null || data.items.length === 0 ? null : data.order_id),
  state,
  begin: ({ data: { order_id, tenant_id, location_id, total, currency, items } }) => ({
    order_id,
    tenant_id,
    location_id: location_id ?? '',
    total,
    currency,
    items: items.map(({ product_id, quantity }) => ({ product_id, quantity })),
  }),
  cancelledBy: { event: orderCancelled, correlate: byOrder },
  timeout: '15m',
  perKey: 'once',
  steps: ({ step }) => [
    step('stock', {
      run: (order, ctx) =>
        ctx.publish({
          type: inventoryReservationRequested.type,
          subject: subjectOf(order),
          data: { ...orderOf(order), location_id: order.location_id, items: order.items },
        }),
      awaits: inventoryReserved,
      refusedBy: inventoryReservationRefused,
      correlate: byOrder,
      timeout: '1m',
      compensate: (order, ctx) =>
        ctx.publish({ type: inventoryReleaseRequested.type, subject: subjectOf(order), data: orderOf(order) }),
    }),
    step('payment', {
      run: (order, ctx) =>
        ctx.publish({ type: paymentRequested.type, subject: `payment/${order.order_id}`, data: paymentOf(order) }),
      awaits: paymentAuthorised,
      refusedBy: paymentFailed,
      correlate: byOrder,
      timeout: '10m',
      compensate: (order, ctx) =>
        ctx.publish({ type: paymentVoidRequested.type, subject: `payment/${order.order_id}`, data: paymentOf(order) }),
    }),
    step('confirm', {
      run: (order, ctx) => ctx.publish({ type: orderConfirmed.type, subject: subjectOf(order), data: orderOf(order) }),
    }),
  ],
  onFailed: async (order, ctx) => {
    // Who cancelled it knows.
    if (ctx.reason.includes(orderCancelled.type)) return
    const data = { ...orderOf(order), reason: ctx.reason.slice(0, 500) }
    await ctx.publish({ type: orderCancelled.type, subject: subjectOf(order), data })
  },
})
