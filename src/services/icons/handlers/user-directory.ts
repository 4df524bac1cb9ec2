import { defineHandler } from '../../../index.ts'
import { userCreated, userDeleted, userSuspended, userUpdated } from '../contracts.ts'
import { bury } from '../tombstones.ts'

/** The icon service's own copy of the users, and the caches that are about them. Of who has left it keeps the id. */
export const userDirectory = defineHandler({
  name: 'icons.user-directory',
  on: [userCreated, userUpdated, userSuspended, userDeleted],
  priority: 'high',
  async handle(event, ctx) {
    const { user_id, user_data: user } = event.data
    const deletedAt = event.type === userDeleted.type ? event.time : null
    if (deletedAt) await bury(ctx, event)
    const [email, name] = deletedAt ? ['', ''] : [user.email, user.name]
    await ctx.sql`
      insert into icons.users (user_id, email, name, plan, role, is_active, deleted_at, event_time)
      values (${user_id}, ${email}, ${name}, ${user.plan}, ${user.role}, ${user.is_active && !deletedAt}, ${deletedAt},
        ${event.time})
      on conflict (user_id) do update set
        email = excluded.email, name = excluded.name, plan = excluded.plan, role = excluded.role,
        is_active = excluded.is_active, deleted_at = excluded.deleted_at, event_time = excluded.event_time
      where icons.users.deleted_at is null
        and (icons.users.event_time <= excluded.event_time or excluded.deleted_at is not null)`
    if (event.type === userCreated.type) return
    await ctx.sql`
      insert into icons.cache (scope, key, reason, invalidated_at) values ('user', ${user_id}, ${event.type}, ${event.time})
      on conflict (scope, key) do update set
        generation = icons.cache.generation + 1, reason = excluded.reason, invalidated_at = excluded.invalidated_at
      where icons.cache.invalidated_at < excluded.invalidated_at`
  },
})
