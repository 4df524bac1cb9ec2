import { defineScenario } from '../../../index.ts'

const ofProduct = { 'data.product_id': '${product.data.product_id}', 'data.tenant_id': '${product.data.tenant_id}' }
const atShop = { ...ofProduct, 'data.location_id': '${shop.data.location_id}' }
const subject = '${product.subject}'
const adjust = (delta: number, reason: string) => ({
  publish: 'inventory.adjusted',
  subject,
  set: { ...atShop, 'data.delta': delta, 'data.reason': reason },
})

/** Things are sold until they run low, which is said once; then they are brought from the warehouse. */
export const restock = defineScenario({
  scenario: 'restock',
  summary: 'stock falls below its threshold, an alert says so, and the warehouse fills it up',
  steps: [
    { publish: 'product.created', as: 'product', set: { 'data.product_data.low_stock_threshold': 10 } },
    {
      publish: 'location.created',
      as: 'warehouse',
      set: { 'data.tenant_id': '${product.data.tenant_id}', 'data.location_data.is_active': true },
    },
    {
      publish: 'location.created',
      as: 'shop',
      set: { 'data.tenant_id': '${product.data.tenant_id}', 'data.location_data.is_active': true },
    },
    {
      publish: 'inventory.adjusted',
      subject,
      set: {
        ...ofProduct,
        'data.location_id': '${warehouse.data.location_id}',
        'data.delta': 500,
        'data.reason': 'delivery',
      },
    },
    adjust(30, 'delivery'),
    { repeat: 3, steps: [{ think: '1h..8h' }, adjust(-8, 'count')] },
    { expect: 'inventory.low_stock', where: 'data.product_id == ${product.data.product_id}', within: '10s' },
    { think: '10m..4h' },
    {
      publish: 'inventory.moved',
      subject,
      set: {
        ...ofProduct,
        'data.from_location_id': '${warehouse.data.location_id}',
        'data.to_location_id': '${shop.data.location_id}',
        'data.quantity': 100,
      },
    },
  ],
})
