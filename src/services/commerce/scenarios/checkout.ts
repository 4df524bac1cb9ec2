import { defineScenario } from '../../../index.ts'

const order = { 'data.order_id': '${order.data.order_id}', 'data.tenant_id': '${tenant.data.tenant_id}' }
const payment = {
  ...order,
  'data.payment_id': '${order.data.order_id}',
  'data.amount': '${order.data.total}',
  'data.currency': '${order.data.currency}',
}
const subject = '${order.subject}'
const ofOrder = 'data.order_id == ${order.data.order_id}'

/** Somebody buys what is in stock; most pay and get it, some cannot pay, a few send it back. */
export const checkoutScenario = defineScenario({
  scenario: 'checkout',
  summary: 'an order takes stock and money and is delivered; one that is not paid is cancelled',
  steps: [
    { publish: 'tenant.created', as: 'tenant' },
    {
      publish: 'location.created',
      as: 'location',
      set: { 'data.tenant_id': '${tenant.data.tenant_id}', 'data.location_data.is_active': true },
    },
    { publish: 'product.created', as: 'product', set: { 'data.tenant_id': '${tenant.data.tenant_id}' } },
    {
      publish: 'inventory.adjusted',
      subject: '${product.subject}',
      set: {
        'data.product_id': '${product.data.product_id}',
        'data.tenant_id': '${tenant.data.tenant_id}',
        'data.location_id': '${location.data.location_id}',
        'data.delta': 1_000,
        'data.reason': 'delivery',
      },
    },
    { think: '2s..30s' },
    {
      publish: 'order.created',
      as: 'order',
      set: {
        tenant: '${tenant.data.tenant_id}',
        'data.tenant_id': '${tenant.data.tenant_id}',
        'data.location_id': '${location.data.location_id}',
        'data.total': '${product.data.product_data.price}',
        'data.currency': '${product.data.product_data.currency}',
        'data.items': [
          {
            product_id: '${product.data.product_id}',
            sku: '${product.data.product_data.sku}',
            quantity: 1,
            unit_price: '${product.data.product_data.price}',
          },
        ],
      },
    },
    { expect: 'payment.requested', where: ofOrder, within: '10s' },
    { think: '5s..2m' },
    {
      choose: [
        {
          share: 0.85,
          steps: [
            { publish: 'payment.authorised', subject: 'payment/${order.data.order_id}', set: payment },
            { expect: 'order.confirmed', where: ofOrder, within: '10s' },
            { publish: 'payment.captured', subject: 'payment/${order.data.order_id}', set: payment },
            { think: '1h..2d' },
            { publish: 'order.shipped', subject, set: order },
            { think: '1d..3d' },
            { publish: 'order.delivered', subject, set: order },
            {
              choose: [
                { share: 0.95, steps: [] },
                {
                  share: 0.05,
                  steps: [
                    { think: '1d..7d' },
                    { publish: 'payment.refunded', subject: 'payment/${order.data.order_id}', set: payment },
                  ],
                },
              ],
            },
          ],
        },
        {
          share: 0.15,
          steps: [
            {
              publish: 'payment.failed',
              subject: 'payment/${order.data.order_id}',
              set: { ...payment, 'data.reason': 'card declined' },
            },
            { expect: 'order.cancelled', where: ofOrder, within: '10s' },
          ],
        },
      ],
    },
  ],
})
