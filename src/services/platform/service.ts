import { defineService } from '../../index.ts'
import {
  accountDeleted,
  userDataExportContributed,
  userDataExportRequested,
  userDeletionConfirmed,
  userDeletionStarted,
  userRegistered,
} from '../accounts/contracts.ts'
import { orderCreated } from '../commerce/contracts.ts'
import { contracts } from './contracts.ts'
import { locations } from './handlers/locations.ts'
import { platformAnalytics } from './handlers/platform-analytics.ts'
import { tenantLifecycle } from './handlers/tenant-lifecycle.ts'
import { userData } from './handlers/user-data.ts'
import { userRoleManagement } from './handlers/user-role-management.ts'
import { tenantOnboarding } from './scenarios/tenant-onboarding.ts'
import { platformSchema } from './schema.ts'

/** The platform: tenants and their subscriptions, flags, roles and locations, and what they make of it all. */
export const platform = defineService({
  name: 'platform',
  // The rest belongs to others: platform hears of it, or answers.
  contracts: [
    ...contracts,
    ...[userRegistered, userDataExportRequested, userDataExportContributed],
    ...[userDeletionStarted, userDeletionConfirmed, accountDeleted, orderCreated],
  ],
  handlers: [tenantLifecycle, userRoleManagement, locations, platformAnalytics, userData],
  scenarios: [tenantOnboarding],
  migrations: [platformSchema],
  publishes: ['role.changed', 'user.{data_export_contributed,deletion_confirmed}'],
})
