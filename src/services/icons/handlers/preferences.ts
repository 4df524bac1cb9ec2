import { defineHandler } from '../../../index.ts'
import { userCreated, userDeleted } from '../contracts.ts'
import { bury } from '../tombstones.ts'

const sizes = { free: 24, pro: 32, team: 32 } as const

/** Every new user starts with preferences: a size by plan, and the icons that are popular just now. Who leaves takes them along. */
export const preferences = defineHandler({
  name: 'icons.preferences',
  on: [userCreated, userDeleted],
  retry: { attempts: 3, initial: '200ms', max: '2s' },
  async handle(event, ctx) {
    const { user_id, user_data: user } = event.data
    if (event.type === userDeleted.type) {
      await bury(ctx, event)
      await ctx.sql`delete from icons.preferences where user_id = ${user_id}`
      return
    }
    await ctx.sql`
      insert into icons.preferences (user_id, icon_size, favourites, contact, created_at)
      select ${user_id}, ${sizes[user.plan]}, coalesce(array_agg(recent.icon), '{}'), ${user.email}, ${event.time}
      from (
        select icon from (select icon from icons.document_icons order by used_at desc limit 200) latest
        group by icon order by count(*) desc, icon limit 3
      ) recent
      having not exists (select from icons.tombstones where user_id = ${user_id})
      on conflict (user_id) do nothing`
  },
})
