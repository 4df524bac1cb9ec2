import { defineService } from '../../index.ts'
import { userRegistered } from '../accounts/contracts.ts'
import { orderCreated } from '../commerce/contracts.ts'
import { contracts } from './contracts.ts'
import { locations } from './handlers/locations.ts'
import { platformAnalytics } from './handlers/platform-analytics.ts'
import { tenantLifecycle } from './handlers/tenant-lifecycle.ts'
import { userRoleManagement } from './handlers/user-role-management.ts'
import { tenantOnboarding } from './scenarios/tenant-onboarding.ts'
import { platformSchema } from './schema.ts'

/** The platform: tenants and their subscriptions, flags, roles and locations, and what they make of it all. */
export const platform = defineService({
  name: 'platform',
  // The last two belong to others: platform hears of them.
  contracts: [...contracts, userRegistered, orderCreated],
  handlers: [tenantLifecycle, userRoleManagement, locations, platformAnalytics],
  scenarios: [tenantOnboarding],
  migrations: [platformSchema],
  publishes: ['role.changed'],
})
