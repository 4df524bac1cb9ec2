import { defineHandler } from '../../../index.ts'
import {
  accountDeleted,
  accountFrozen,
  accountUnfrozen,
  userEmailVerified,
  userProfileCreated,
  userRegistered,
  userRegistrationCompleted,
  userRegistrationFailed,
} from '../contracts.ts'

const statuses: Readonly<Record<string, string>> = {
  [userRegistered.type]: 'registering',
  [userRegistrationCompleted.type]: 'active',
  [userRegistrationFailed.type]: 'failed',
  [accountFrozen.type]: 'frozen',
  [accountUnfrozen.type]: 'active',
  [accountDeleted.type]: 'deleted',
}

/** Where an account is in its life, and what of it is done. A deleted one stays deleted. */
export const status = defineHandler({
  name: 'accounts.status',
  on: [
    userRegistered,
    userProfileCreated,
    userEmailVerified,
    userRegistrationCompleted,
    userRegistrationFailed,
    accountFrozen,
    accountUnfrozen,
    accountDeleted,
  ],
  priority: 'high',
  async handle(event, ctx) {
    const { user_id } = event.data
    const { type, time } = event
    const next = statuses[type]
    if (next === undefined) {
      const [profile, verified] = [type === userProfileCreated.type, type === userEmailVerified.type]
      await ctx.sql`
        insert into accounts.statuses (user_id, profile_created, email_verified, status_time)
        values (${user_id}, ${profile}, ${verified}, '-infinity')
        on conflict (user_id) do update set profile_created = accounts.statuses.profile_created or excluded.profile_created,
          email_verified = accounts.statuses.email_verified or excluded.email_verified`
    } else {
      // The first and the last have their places whatever the clock of who says so.
      const at = { registering: '-infinity', deleted: 'infinity' }[next] ?? time
      await ctx.sql`
        insert into accounts.statuses (user_id, status, status_time) values (${user_id}, ${next}, ${at})
        on conflict (user_id) do update set status = excluded.status, status_time = excluded.status_time
        where accounts.statuses.status_time <= excluded.status_time`
    }
  },
})
