import { defineHandler } from '../../../index.ts'
import { roleChanged, tenantCreated } from '../../platform/contracts.ts'
import { aboutUser } from '../about-user.ts'
import { authRoleChanged, authTenantConfigured, userRegistered } from '../contracts.ts'

/** What a tenant's plan asks of those who log in. */
const byPlan = {
  free: { mfa_required: false, most_failures: 10, window_seconds: 900, lockout_seconds: 300 },
  starter: { mfa_required: false, most_failures: 10, window_seconds: 900, lockout_seconds: 900 },
  business: { mfa_required: true, most_failures: 5, window_seconds: 900, lockout_seconds: 1800 },
  enterprise: { mfa_required: true, most_failures: 3, window_seconds: 3600, lockout_seconds: 3600 },
} as const

/** Sets authentication up for users who register and tenants that are created, and follows changes of roles. */
export const userAuthentication = defineHandler({
  name: 'accounts.user-authentication',
  on: [userRegistered, tenantCreated, roleChanged, authRoleChanged],
  priority: 'high',
  concurrency: 5,
  // One each: those of a batch would be four at the same time.
  transaction: 'event',
  async handle(event, ctx) {
    const { data } = event
    if ('tenant_data' in data) {
      const { tenant_id } = data
      const config = byPlan[data.tenant_data.plan]
      const made = await ctx.sql`
        insert into accounts.tenant_configuration
        values (${tenant_id}, ${config.mfa_required}, ${config.most_failures}, ${config.window_seconds}, ${config.lockout_seconds},
          ${event.time})
        on conflict (tenant_id) do nothing returning tenant_id`
      if (made.length === 0) return
      await ctx.publish({
        type: authTenantConfigured.type,
        subject: `tenant/${tenant_id}`,
        data: { tenant_id, ...config },
      })
    } else if ('role' in data) {
      const roles = data.role === null ? [] : [data.role]
      await writeRoles(data.user_id, data.tenant_id, roles)
      await ctx.publish(aboutUser(authRoleChanged, { user_id: data.user_id, roles, tenant_id: data.tenant_id }))
    } else if ('email' in data) {
      const { user_id, username, email, tenant_id = null, registered_by } = data
      await ctx.sql`
        insert into accounts.users (user_id, username, email, tenant_id, registered_by, registered_at)
        select ${user_id}, ${username}, ${email}, ${tenant_id}, ${registered_by}, ${event.time}
        where not exists (select from accounts.tombstones where user_id = ${user_id})
        on conflict (user_id) do nothing`
      // Whatever is said of the roles later counts, by any clock.
      await writeRoles(user_id, tenant_id, data.roles, '-infinity')
    } else if (data.tenant_id === undefined) await writeRoles(data.user_id, null, data.roles)

    async function writeRoles(user_id: string, tenant_id: string | null, roles: readonly string[], from = event.time) {
      await ctx.sql`
        insert into accounts.roles (user_id, tenant, roles, event_time)
        select ${user_id}, ${tenant_id ?? ''}, ${roles}, ${from}
        where not exists (select from accounts.tombstones where user_id = ${user_id})
        on conflict (user_id, tenant) do update set roles = excluded.roles, event_time = excluded.event_time
        where accounts.roles.event_time <= excluded.event_time`
    }
  },
})
