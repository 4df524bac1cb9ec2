import { defineHandler } from '../../../index.ts'
import { userCreated, userDeleted, userSuspended, userUpdated } from '../contracts.ts'
import { bury } from '../tombstones.ts'

const byRole = {
  viewer: ['read'],
  editor: ['read', 'write', 'share'],
  admin: ['read', 'write', 'share', 'manage'],
} as const

/** What a user may do with icons: the role decides, and a suspended or deleted user may nothing. */
export const permissions = defineHandler({
  name: 'icons.permissions',
  on: [userCreated, userUpdated, userSuspended, userDeleted],
  priority: 'high',
  async handle(event, ctx) {
    const { user_id, user_data: user } = event.data
    const gone = event.type === userDeleted.type
    if (gone) await bury(ctx, event)
    const may = user.is_active && !gone
    await ctx.sql`
      insert into icons.permissions (user_id, granted, event_time)
      select ${user_id}, ${may ? byRole[user.role] : []}, ${event.time}
      where ${gone} or not exists (select from icons.tombstones where user_id = ${user_id})
      on conflict (user_id) do update set granted = excluded.granted, event_time = excluded.event_time
      where icons.permissions.event_time <= excluded.event_time or ${gone}`
  },
})
