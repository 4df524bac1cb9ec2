import type { HandlerContext } from '../../index.ts'
import { inventoryLowStock } from './contracts.ts'

/** There is less than was taken. Counting again mends it; trying again does not. */
export class InsufficientStockError extends Error {
  constructor({ product_id, location_id }: Place, wanted: number, found: number) {
    super(`product ${product_id} at location ${location_id} has ${found}, not ${wanted}`)
    this.name = 'InsufficientStockError'
  }
}

export interface Place {
  readonly product_id: string
  readonly location_id: string
}

export interface Change extends Place {
  readonly delta: number
  readonly cause: string
}

/** The event that changes stock, as far as its rows need it. */
export interface Changing {
  readonly id: string
  readonly time: string
}

/**
 * Changes stock by an event: once, however often the event comes. Throws InsufficientStockError where less than nothing
 * would be left: the transaction is to be rolled back.
 */
export async function changeStock({ sql }: HandlerContext, { id, time }: Changing, change: Change): Promise<void> {
  const { product_id, location_id, delta, cause } = change
  const fresh = await sql`
    insert into commerce.stock_changes (event_id, product_id, location_id, delta, cause, changed_at)
    values (${id}, ${product_id}, ${location_id}, ${delta}, ${cause}, ${time})
    on conflict (event_id, product_id, location_id) do nothing returning delta`
  if (fresh.length === 0) return
  await sql`insert into commerce.stock (product_id, location_id) values (${product_id}, ${location_id}) on conflict do nothing`
  const changed = await sql`
    update commerce.stock set quantity = quantity + ${delta}
    where product_id = ${product_id} and location_id = ${location_id} and quantity + ${delta} >= 0 returning quantity`
  if (changed.length > 0) return
  throw new InsufficientStockError(change, -delta, await quantityAt(sql, change))
}

/** What is there, and nobody else changes until the transaction ends. */
export async function quantityAt(sql: HandlerContext['sql'], { product_id, location_id }: Place): Promise<number> {
  const [row] = await sql<{ quantity: number }>`
    select quantity from commerce.stock where product_id = ${product_id} and location_id = ${location_id} for update`
  return row?.quantity ?? 0
}

/** Says `inventory.low_stock` for every location where the product has just come to be low. */
export async function alertLowStock(ctx: HandlerContext, product_id: string): Promise<void> {
  const crossed = await ctx.sql<{
    location_id: string
    tenant_id: string
    quantity: number
    threshold: number
    is_low: boolean
  }>`
    update commerce.stock s set is_low = s.quantity < p.low_stock_threshold from commerce.products p
    where s.product_id = ${product_id} and p.product_id = s.product_id and s.is_low <> (s.quantity < p.low_stock_threshold)
    returning s.location_id, p.tenant_id, s.quantity, p.low_stock_threshold as threshold, s.is_low`
  for (const { location_id, tenant_id, quantity, threshold } of crossed.filter(({ is_low }) => is_low)) {
    await ctx.publish({
      type: inventoryLowStock.type,
      subject: `product/${product_id}`,
      priority: 'high',
      data: { product_id, tenant_id, location_id, quantity, low_stock_threshold: threshold },
    })
  }
}
