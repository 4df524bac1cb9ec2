// The events of the platform: who its tenants are, what they pay for, what is switched on for them, who may do what, and
// where they are. What belongs to a tenant has the tenant's subject, so that it comes in one order.
import { z } from 'zod'
import { defineEvent, sensitive } from '../../index.ts'

const plan = z.enum(['free', 'starter', 'business', 'enterprise'])
const name = z.string().min(1).max(200)
const word = z.string().regex(/^[a-z][a-z0-9_.-]*$/)
const changes = z.array(z.string().min(1))

const tenant = z.object({
  tenant_id: z.uuid(),
  tenant_data: z.object({
    company_name: name,
    owner_email: sensitive(z.email()),
    country: z.string().length(2),
    plan,
  }),
})

export const tenantCreated = defineEvent('tenant.created', { 1: tenant })
export const tenantUpdated = defineEvent('tenant.updated', { 1: tenant.extend({ changes }) })
export const tenantSuspended = defineEvent('tenant.suspended', {
  1: z.object({ tenant_id: z.uuid(), reason: z.string().max(500) }),
})
export const tenantReactivated = defineEvent(
  'tenant.reactivated',
  { 1: z.object({ tenant_id: z.uuid() }) },
  { lifecycle: { after: ['suspended'] } },
)
export const tenantDeleted = defineEvent('tenant.deleted', { 1: z.object({ tenant_id: z.uuid() }) })

export const subscriptionChanged = defineEvent('subscription.changed', {
  1: z.object({
    tenant_id: z.uuid(),
    plan,
    status: z.enum(['active', 'trial', 'past_due', 'cancelled']),
    seats: z.int().min(1).max(100_000),
  }),
})

export const featureFlagConfigured = defineEvent('feature_flag.configured', {
  1: z.object({ tenant_id: z.uuid(), flag: word, enabled: z.boolean(), rollout_percent: z.int().min(0).max(100) }),
})
/** Somebody met a flag: what it said to them. */
export const featureFlagUsed = defineEvent('feature_flag.used', {
  1: z.object({ tenant_id: z.uuid(), flag: word, enabled: z.boolean() }),
})

const permissions = z.array(word).max(50)

/** A role of a tenant, and what it allows. */
export const roleDefined = defineEvent('role.defined', {
  1: z.object({ tenant_id: z.uuid(), role: word, permissions }),
})
/** What a user is from now on in a tenant; null: nothing any more. */
export const roleChanged = defineEvent('role.changed', {
  1: z.object({ user_id: z.uuid(), tenant_id: z.uuid(), role: word.nullable(), changed_by: z.string().max(200) }),
})

const location = z.object({
  location_id: z.uuid(),
  tenant_id: z.uuid(),
  location_data: z.object({ name, city: name, country: z.string().length(2), is_active: z.boolean() }),
})
export const locationCreated = defineEvent('location.created', { 1: location })
export const locationUpdated = defineEvent('location.updated', { 1: location.extend({ changes }) })
export const locationClosed = defineEvent('location.closed', { 1: location })

export const contracts = [
  tenantCreated,
  tenantUpdated,
  tenantSuspended,
  tenantReactivated,
  tenantDeleted,
  subscriptionChanged,
  featureFlagConfigured,
  featureFlagUsed,
  roleDefined,
  roleChanged,
  locationCreated,
  locationUpdated,
  locationClosed,
]
