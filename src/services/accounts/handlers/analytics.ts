import { defineHandler } from '../../../index.ts'
import { aboutUser } from '../about-user.ts'
import { userRegistered, userTracked } from '../contracts.ts'

/** Who came, from where and how; counted by day in a view. */
export const analytics = defineHandler({
  name: 'accounts.analytics',
  on: [userRegistered],
  priority: 'low',
  linger: '50ms',
  async handle(event, ctx) {
    const { user_id, registered_by, country = null } = event.data
    const made = await ctx.sql`
      insert into accounts.signups (user_id, registered_by, country, registered_at)
      select ${user_id}, ${registered_by}, ${country}, ${event.time}
      where not exists (select from accounts.tombstones where user_id = ${user_id})
      on conflict (user_id) do nothing returning user_id`
    if (made.length > 0) await ctx.publish(aboutUser(userTracked, { user_id }))
  },
})
