import type { EvtEvent, HandlerContext } from '../../index.ts'
import { locationClosed } from '../platform/contracts.ts'
import type { productCreated } from './contracts.ts'

type DataOf<C> = C extends { readonly event?: EvtEvent<infer T> } ? T : never

/** Keeps a product as it was last said to be; one that was discontinued stays so. */
export async function keepProduct(
  { sql }: HandlerContext,
  { data, time }: EvtEvent<DataOf<typeof productCreated>>,
): Promise<void> {
  const { product_id, tenant_id, product_data: product } = data
  await sql`
    insert into commerce.products (product_id, tenant_id, sku, title, price, currency, low_stock_threshold, event_time)
    values (${product_id}, ${tenant_id}, ${product.sku}, ${product.title}, ${product.price}, ${product.currency},
      ${product.low_stock_threshold}, ${time})
    on conflict (product_id) do update set
      sku = excluded.sku, title = excluded.title, price = excluded.price, currency = excluded.currency,
      low_stock_threshold = excluded.low_stock_threshold, event_time = excluded.event_time
    where commerce.products.event_time <= excluded.event_time and not commerce.products.is_discontinued`
}

/** It is not sold any more; what is in stock stays there. */
export async function discontinue(
  { sql }: HandlerContext,
  { data, time }: EvtEvent<{ readonly product_id: string; readonly tenant_id: string }>,
): Promise<void> {
  await sql`
    insert into commerce.products (product_id, tenant_id, is_discontinued, event_time)
    values (${data.product_id}, ${data.tenant_id}, true, ${time})
    on conflict (product_id) do update set is_discontinued = true`
}

/** A place where stock can be. A closed one is not opened again. */
export async function setUpLocation(
  { sql }: HandlerContext,
  { type, data, time }: EvtEvent<DataOf<typeof locationClosed>>,
): Promise<void> {
  const { location_id, tenant_id, location_data: location } = data
  const isClosed = type === locationClosed.type
  await sql`
    insert into commerce.locations (location_id, tenant_id, name, is_open, event_time)
    values (${location_id}, ${tenant_id}, ${location.name}, ${location.is_active && !isClosed},
      ${isClosed ? 'infinity' : time})
    on conflict (location_id) do update set name = excluded.name, is_open = excluded.is_open, event_time = excluded.event_time
    where commerce.locations.event_time <= excluded.event_time`
}
