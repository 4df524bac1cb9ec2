import { defineHandler } from '../../../index.ts'
import { userRegistered } from '../../accounts/contracts.ts'
import { roleChanged, roleDefined, tenantCreated } from '../contracts.ts'

/** What every tenant begins with. */
const defaultRoles: Readonly<Record<string, readonly string[]>> = {
  owner: ['read', 'write', 'manage', 'billing'],
  admin: ['read', 'write', 'manage'],
  member: ['read', 'write'],
}

const registration = 'registration'

/** Who may do what in a tenant: roles and their permissions, and a role for whoever registers. One after the other. */
export const userRoleManagement = defineHandler({
  name: 'platform.user-role-management',
  on: [tenantCreated, roleDefined, roleChanged, userRegistered],
  priority: 'high',
  concurrency: 1,
  async handle(event, ctx) {
    const { data, time } = event
    const define = (tenant_id: string, role: string, permissions: readonly string[], from = time) => ctx.sql`
      insert into platform.roles (tenant_id, role, permissions, event_time)
      values (${tenant_id}, ${role}, ${permissions}, ${from})
      on conflict (tenant_id, role) do update set permissions = excluded.permissions, event_time = excluded.event_time
      where platform.roles.event_time <= excluded.event_time`

    if ('tenant_data' in data) {
      for (const [role, permissions] of Object.entries(defaultRoles))
        await define(data.tenant_id, role, permissions, '-infinity')
    } else if ('permissions' in data) await define(data.tenant_id, data.role, data.permissions)
    else if ('changed_by' in data) {
      // Its own word, which is in the table since it was said.
      if (data.changed_by === registration) return
      await ctx.sql`
        insert into platform.user_roles (tenant_id, user_id, role, changed_by, event_time)
        select ${data.tenant_id}, ${data.user_id}, ${data.role}, ${data.changed_by}, ${time}
        where not exists (select from platform.tombstones where user_id = ${data.user_id})
        on conflict (tenant_id, user_id) do update set
          role = excluded.role, changed_by = excluded.changed_by, event_time = excluded.event_time
        where platform.user_roles.event_time <= excluded.event_time`
    } else if (data.tenant_id !== undefined) {
      const { tenant_id, user_id, roles } = data
      const [role = 'member'] = roles
      // Whoever has a role already keeps it.
      const given = await ctx.sql`
        insert into platform.user_roles (tenant_id, user_id, role, changed_by, event_time)
        select ${tenant_id}, ${user_id}, ${role}, ${registration}, '-infinity'
        where not exists (select from platform.tombstones where user_id = ${user_id})
        on conflict (tenant_id, user_id) do nothing returning role`
      if (given.length === 0) return
      await ctx.publish({
        type: roleChanged.type,
        subject: `user/${user_id}`,
        data: { tenant_id, user_id, role, changed_by: registration },
      })
    }
  },
})
