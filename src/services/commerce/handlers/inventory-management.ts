import { defineHandler } from '../../../index.ts'
import { locationClosed, locationCreated, locationUpdated } from '../../platform/contracts.ts'
import { discontinue, keepProduct, setUpLocation } from '../catalogue.ts'
import {
  inventoryAdjusted,
  inventoryMoved,
  inventoryReleaseRequested,
  inventoryReservationRequested,
  orderCancelled,
  productCreated,
  productDiscontinued,
  productUpdated,
} from '../contracts.ts'
import { release, reserve } from '../reservations.ts'
import { alertLowStock, changeStock } from '../stock.ts'

/**
 * Products, locations and what is in stock where, one event after the other. Stock is never negative: an event that would
 * make it so is a dead letter that says what was there.
 */
export const inventoryManagement = defineHandler({
  name: 'commerce.inventory-management',
  on: [
    productCreated,
    productUpdated,
    productDiscontinued,
    locationCreated,
    locationUpdated,
    locationClosed,
    inventoryAdjusted,
    inventoryMoved,
    inventoryReservationRequested,
    inventoryReleaseRequested,
    orderCancelled,
  ],
  priority: 'high',
  concurrency: 1,
  nonRetryable: ['InsufficientStockError'],
  async handle(event, ctx) {
    const { type, data } = event
    if ('location_data' in data) return setUpLocation(ctx, { ...event, data })
    if ('items' in data) return reserve(ctx, { ...event, data })
    if ('order_id' in data) return release(ctx, { ...event, data })
    if ('product_data' in data) await keepProduct(ctx, { ...event, data })
    else if ('delta' in data) await changeStock(ctx, event, { ...data, cause: data.reason })
    else if ('from_location_id' in data) {
      const { product_id, from_location_id, to_location_id, quantity } = data
      const moved = { product_id, cause: 'moved' }
      await changeStock(ctx, event, { ...moved, location_id: from_location_id, delta: -quantity })
      await changeStock(ctx, event, { ...moved, location_id: to_location_id, delta: quantity })
    } else if (type === productDiscontinued.type) return discontinue(ctx, { ...event, data })
    await alertLowStock(ctx, data.product_id)
  },
})
