import type { EvtEvent, HandlerContext } from '../../index.ts'
import { inventoryReleased, inventoryReservationRefused, inventoryReserved } from './contracts.ts'
import { alertLowStock, type Changing, changeStock, quantityAt } from './stock.ts'

interface OrderOf {
  readonly order_id: string
  readonly tenant_id: string
}

interface Item {
  readonly product_id: string
  readonly quantity: number
}

type Requested = OrderOf & { readonly location_id: string; readonly items: readonly Item[] }

/** Takes all of an order's items from stock, or none, and says which. An order is decided once. */
export async function reserve(ctx: HandlerContext, event: EvtEvent<Requested>): Promise<void> {
  const { order_id, tenant_id, location_id } = event.data
  const items = summed(event.data.items)
  const fresh = await ctx.sql`
    insert into commerce.reservations (order_id, location_id, items, status, event_time)
    values (${order_id}, ${location_id}, ${JSON.stringify(items)}, 'reserved', ${event.time})
    on conflict (order_id) do nothing returning order_id`
  if (fresh.length === 0) return refuseClosed(ctx, { order_id, tenant_id })
  const missing = await firstMissing(ctx, location_id, items)
  if (missing !== undefined) {
    await ctx.sql`update commerce.reservations set status = 'refused' where order_id = ${order_id}`
    await ctx.publish(about(inventoryReservationRefused.type, { order_id, tenant_id, reason: missing }))
    return
  }
  await changeAll(ctx, event, { location_id, items, sign: -1, cause: 'reserved' })
  await ctx.publish(about(inventoryReserved.type, { order_id, tenant_id }))
}

/** It was cancelled before it could hold anything: whoever waits for an answer hears so, once. */
async function refuseClosed(ctx: HandlerContext, order: OrderOf): Promise<void> {
  const closed = await ctx.sql`
    update commerce.reservations set status = 'refused'
    where order_id = ${order.order_id} and status = 'released' and location_id is null returning order_id`
  if (closed.length === 0) return
  await ctx.publish(about(inventoryReservationRefused.type, { ...order, reason: 'the order is closed' }))
}

/** Gives back what an order holds. Where it holds nothing, it never will. */
export async function release(ctx: HandlerContext, event: EvtEvent<OrderOf>): Promise<void> {
  const { order_id, tenant_id } = event.data
  const [held] = await ctx.sql<{ location_id: string; items: readonly Item[] }>`
    update commerce.reservations set status = 'released' where order_id = ${order_id} and status = 'reserved'
    returning location_id, items`
  if (held) await changeAll(ctx, event, { ...held, sign: 1, cause: 'released' })
  else {
    const closed = await ctx.sql`
      insert into commerce.reservations (order_id, status, event_time) values (${order_id}, 'released', ${event.time})
      on conflict (order_id) do nothing returning order_id`
    if (closed.length === 0) return
  }
  await ctx.publish(about(inventoryReleased.type, { order_id, tenant_id }))
}

const about = <T extends OrderOf>(type: string, data: T) => ({ type, subject: `order/${data.order_id}`, data })

/** A product that an order names twice is one item, in the order of ids: whoever takes several takes them so. */
function summed(items: readonly Item[]): readonly Item[] {
  const quantities = new Map<string, number>()
  for (const { product_id, quantity } of items) quantities.set(product_id, (quantities.get(product_id) ?? 0) + quantity)
  return [...quantities].sort().map(([product_id, quantity]) => ({ product_id, quantity }))
}

async function firstMissing(
  { sql }: HandlerContext,
  location_id: string,
  items: readonly Item[],
): Promise<string | undefined> {
  for (const { product_id, quantity } of items) {
    const found = await quantityAt(sql, { product_id, location_id })
    if (found < quantity) return `product ${product_id}: ${found} of ${quantity} left`
  }
  return undefined
}

interface All {
  readonly location_id: string
  readonly items: readonly Item[]
  readonly sign: 1 | -1
  readonly cause: string
}

async function changeAll(ctx: HandlerContext, by: Changing, { location_id, items, sign, cause }: All): Promise<void> {
  for (const { product_id, quantity } of items) {
    await changeStock(ctx, by, { product_id, location_id, delta: sign * quantity, cause })
    await alertLowStock(ctx, product_id)
  }
}
