import { defineHandler } from '../../../index.ts'
import { authMfaEnrolled, authPasswordChanged } from '../contracts.ts'

/** When a password was changed, and which second factors there are. A new password ends every session. */
export const credentials = defineHandler({
  name: 'accounts.credentials',
  on: [authPasswordChanged, authMfaEnrolled],
  priority: 'high',
  async handle(event, ctx) {
    const { data, time } = event
    if ('method' in data) {
      await ctx.sql`
        insert into accounts.mfa (user_id, method, enrolled_at)
        select ${data.user_id}, ${data.method}, ${time}
        where not exists (select from accounts.tombstones where user_id = ${data.user_id})
        on conflict (user_id, method) do nothing`
    } else {
      await ctx.sql`
        insert into accounts.credentials (user_id, changed_by, changed_at)
        select ${data.user_id}, ${data.by}, ${time}
        where not exists (select from accounts.tombstones where user_id = ${data.user_id})
        on conflict (user_id) do update set changed_by = excluded.changed_by, changed_at = excluded.changed_at
        where accounts.credentials.changed_at <= excluded.changed_at`
    }
  },
})
