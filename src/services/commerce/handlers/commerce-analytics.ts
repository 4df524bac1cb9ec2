import { defineHandler } from '../../../index.ts'
import { orderCreated, paymentCaptured, paymentRefunded } from '../contracts.ts'

/** What was sold, for how much, and what of it was given back: figures are views over these rows. */
export const commerceAnalytics = defineHandler({
  name: 'commerce.commerce-analytics',
  on: [orderCreated, paymentCaptured, paymentRefunded],
  priority: 'low',
  concurrency: 5,
  transaction: 'event',
  async handle({ id, type, time, data }, ctx) {
    if ('items' in data) {
      await ctx.sql`
        insert into commerce.sold_items (event_id, product_id, tenant_id, quantity, revenue, currency)
        select ${id}, product_id, ${data.tenant_id}, sum(quantity), sum(quantity * unit_price), ${data.currency}
        from jsonb_to_recordset(${JSON.stringify(data.items)}) as i (product_id uuid, quantity integer, unit_price numeric)
        group by product_id
        on conflict (event_id, product_id) do nothing`
      return
    }
    const kind = type === paymentRefunded.type ? 'refund' : 'sale'
    await ctx.sql`
      insert into commerce.sales (event_id, order_id, tenant_id, kind, amount, currency, at)
      values (${id}, ${data.order_id}, ${data.tenant_id}, ${kind}, ${data.amount}, ${data.currency}, ${time})
      on conflict (event_id) do nothing`
  },
})
