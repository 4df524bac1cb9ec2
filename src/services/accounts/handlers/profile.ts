import { defineHandler } from '../../../index.ts'
import { aboutUser } from '../about-user.ts'
import {
  userProfileCreated,
  userProfileRefused,
  userProfileRemovalRequested,
  userProfileUpdated,
  userRegistered,
} from '../contracts.ts'

/** A profile for every new user, unless the name is taken. */
export const profile = defineHandler({
  name: 'accounts.profile',
  on: [userRegistered, userProfileUpdated, userProfileRemovalRequested],
  async handle(event, ctx) {
    const { data, time } = event
    const { user_id } = data
    if ('profile_data' in data) {
      const { display_name, about } = data.profile_data
      await ctx.sql`
        update accounts.profiles set display_name = ${display_name}, about = ${about}, event_time = ${time}
        where user_id = ${user_id} and event_time <= ${time}`
    } else if ('username' in data) {
      const { username } = data
      const [made] = await ctx.sql<{ profile_id: string }>`
        insert into accounts.profiles (user_id, profile_id, username, display_name, event_time)
        select ${user_id}, gen_random_uuid(), ${username}, ${username}, ${time}
        where not exists (select from accounts.tombstones where user_id = ${user_id})
        on conflict do nothing returning profile_id`
      if (made) await ctx.publish(aboutUser(userProfileCreated, { user_id, ...made, display_name: username }))
      else if (await isTaken(username)) {
        await ctx.publish(aboutUser(userProfileRefused, { user_id, reason: 'the name is taken' }))
      }
    } else await ctx.sql`delete from accounts.profiles where user_id = ${user_id}`

    async function isTaken(username: string | null): Promise<boolean> {
      const found = await ctx.sql`select from accounts.profiles where username = ${username} and user_id <> ${user_id}`
      return found.length > 0
    }
  },
})
