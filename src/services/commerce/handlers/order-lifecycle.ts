import { defineHandler, type EvtEvent, type HandlerContext } from '../../../index.ts'
import { lifeOfOrders, paymentVoidRequested } from '../contracts.ts'

/** Orders from their creation to their end, and their payments, each in rows of its own. */
export const orderLifecycle = defineHandler({
  name: 'commerce.order-lifecycle',
  on: lifeOfOrders,
  priority: 'high',
  concurrency: 10,
  transaction: 'event',
  async handle(event, ctx) {
    const { data } = event
    if ('payment_id' in data) return keepPayment(ctx, { ...event, data })
    if ('items' in data) await createOrder(ctx, { ...event, data })
    else await moveOrder(ctx, { ...event, data })
    const fresh = await ctx.sql`
      insert into commerce.order_steps (event_id, order_id, status, at)
      values (${event.id}, ${data.order_id}, ${statusOf(event)}, ${event.time}) on conflict (event_id) do nothing
      returning event_id`
    if (fresh.length > 0) await voidPayment(ctx, event)
  },
})

/** `order.shipped` → `shipped`. */
const statusOf = ({ type }: Pick<EvtEvent, 'type'>): string => type.slice(type.indexOf('.') + 1)

interface Order {
  readonly order_id: string
  readonly tenant_id: string
  readonly customer_id: string | null
  readonly location_id: string | null
  readonly total: string
  readonly currency: string
}

/** What the order is; its status only where nothing has happened to it yet. */
async function createOrder({ sql }: HandlerContext, { data: order, time }: EvtEvent<Order>): Promise<void> {
  await sql`
    insert into commerce.orders (order_id, tenant_id, customer_id, location_id, total, currency, status, created_at, event_time)
    values (${order.order_id}, ${order.tenant_id}, ${order.customer_id}, ${order.location_id}, ${order.total},
      ${order.currency}, 'created', ${time}, ${time})
    on conflict (order_id) do nothing`
}

/** By what it is, not by when: whoever ships has another clock than whoever confirms. */
const way = ['created', 'confirmed', 'shipped', 'delivered']
const wayOfPayment = ['requested', 'authorised', 'captured']

/** An order goes forward only, and does not move any more when it has come to its end. */
async function moveOrder(
  { sql, log }: HandlerContext,
  event: EvtEvent<{ readonly order_id: string; readonly tenant_id: string }>,
): Promise<void> {
  const { order_id, tenant_id } = event.data
  const moved = await sql`
    insert into commerce.orders (order_id, tenant_id, status, event_time)
    values (${order_id}, ${tenant_id}, ${statusOf(event)}, ${event.time})
    on conflict (order_id) do update set status = excluded.status, event_time = excluded.event_time
    where commerce.orders.status not in ('delivered', 'cancelled') and (excluded.status = 'cancelled'
      or array_position(${way}::text[], excluded.status) > array_position(${way}::text[], commerce.orders.status))
    returning order_id`
  if (moved.length === 0) log.info('the order does not move any more', { order_id, to: statusOf(event) })
}

/** Cancelled just when its checkout confirmed it, or afterwards: the second of the two gives the money back. */
async function voidPayment(
  { sql, publish }: HandlerContext,
  event: EvtEvent<{ readonly order_id: string; readonly tenant_id: string }>,
): Promise<void> {
  const { order_id, tenant_id } = event.data
  const [both] = await sql<{ amount: string; currency: string }>`
    select o.total as amount, o.currency from commerce.orders o
    where o.order_id = ${order_id} and o.status = 'cancelled' and o.location_id is not null and (
      select count(distinct status) = 2 and count(*) filter (where status = ${statusOf(event)}) = 1
      from commerce.order_steps s where s.order_id = o.order_id and status in ('confirmed', 'cancelled'))`
  if (!both) return
  const data = { payment_id: order_id, order_id, tenant_id, ...both }
  await publish({ type: paymentVoidRequested.type, subject: `payment/${order_id}`, data })
}

interface Payment {
  readonly payment_id: string
  readonly order_id: string
  readonly tenant_id: string
  readonly amount: string
  readonly currency: string
  readonly reason?: string
}

/** What is none of the way is an end: failed, refunded, to be voided. */
async function keepPayment({ sql }: HandlerContext, event: EvtEvent<Payment>): Promise<void> {
  const { payment_id, order_id, tenant_id, amount, currency, reason = null } = event.data
  await sql`
    insert into commerce.payments (payment_id, order_id, tenant_id, amount, currency, status, reason, event_time)
    values (${payment_id}, ${order_id}, ${tenant_id}, ${amount}, ${currency}, ${statusOf(event)}, ${reason}, ${event.time})
    on conflict (payment_id) do update set
      amount = excluded.amount, status = excluded.status, reason = excluded.reason, event_time = excluded.event_time
    where coalesce(array_position(${wayOfPayment}::text[], excluded.status), 4)
      > coalesce(array_position(${wayOfPayment}::text[], commerce.payments.status), 4)`
}
