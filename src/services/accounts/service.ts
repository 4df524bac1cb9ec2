import { defineService } from '../../index.ts'
import { roleChanged, tenantCreated } from '../platform/contracts.ts'
import { contracts } from './contracts.ts'
import { handlers } from './handlers.ts'
import { dataExport } from './sagas/data-export.ts'
import { deletion } from './sagas/deletion.ts'
import { passwordReset } from './sagas/password-reset.ts'
import { registration } from './sagas/registration.ts'
import { scenarios } from './scenarios.ts'
import { accountsSchema } from './schema.ts'

/** Users and how they log in: what the service says, what it hears of the platform, and its work over several events. */
export const accounts = defineService({
  name: 'accounts',
  contracts: [...contracts, tenantCreated, roleChanged],
  handlers,
  sagas: [registration, deletion, passwordReset, dataExport],
  publishes: ['auth.*', 'user.*', 'account.*', 'email.*'],
  subscribes: ['auth.*', 'user.*', 'account.*', 'email.*', 'tenant.created', 'role.changed'],
  migrations: [accountsSchema],
  scenarios,
})
