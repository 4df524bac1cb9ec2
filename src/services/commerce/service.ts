import { defineService } from '../../index.ts'
import { locationClosed, locationCreated, locationUpdated } from '../platform/contracts.ts'
import { contracts } from './contracts.ts'
import { commerceAnalytics } from './handlers/commerce-analytics.ts'
import { inventoryManagement } from './handlers/inventory-management.ts'
import { orderLifecycle } from './handlers/order-lifecycle.ts'
import { checkout } from './sagas/checkout.ts'
import { checkoutScenario } from './scenarios/checkout.ts'
import { restock } from './scenarios/restock.ts'
import { commerceSchema } from './schema.ts'

/** Commerce: what is sold, where it lies, who ordered it and who paid. */
export const commerce = defineService({
  name: 'commerce',
  // The platform's locations are where the stock is.
  contracts: [...contracts, locationCreated, locationUpdated, locationClosed],
  handlers: [orderLifecycle, inventoryManagement, commerceAnalytics],
  sagas: [checkout],
  scenarios: [checkoutScenario, restock],
  migrations: [commerceSchema],
  publishes: ['inventory.*', 'payment.{requested,void_requested}', 'order.{confirmed,cancelled}'],
})
