import { defineHandler } from '../../../index.ts'
import {
  accountDeleted,
  userDataExportContributed,
  userDataExportRequested,
  userDeletionConfirmed,
  userDeletionStarted,
} from '../../accounts/contracts.ts'

const service = 'platform'

/** What the platform knows of a user: handed out for an export, erased for a deletion. That there was somebody still counts. */
export const userData = defineHandler({
  name: 'platform.user-data',
  on: [userDataExportRequested, userDeletionStarted, accountDeleted],
  async handle({ type, data, time }, ctx) {
    const { user_id } = data
    const subject = `user/${user_id}`
    if ('export_id' in data) {
      const [found] = await ctx.sql<{ document: string }>`
        select jsonb_build_object(
          'user_roles', (select coalesce(jsonb_agg(r), '[]') from platform.user_roles r where user_id = ${user_id}),
          'usage', (select coalesce(jsonb_agg(u), '[]') from platform.usage u where kind = 'user' and subject_id = ${user_id})
        )::text as document`
      const said = { ...data, service, document: found?.document ?? '{}' }
      await ctx.publish({ type: userDataExportContributed.type, subject, data: said })
      return
    }
    await ctx.sql`insert into platform.tombstones values (${user_id}, ${time}) on conflict do nothing`
    await ctx.sql`delete from platform.user_roles where user_id = ${user_id}`
    await ctx.sql`update platform.usage set subject_id = event_id where kind = 'user' and subject_id = ${user_id}`
    // Once more at the end, for what another handler was just writing when it began.
    if (type === userDeletionStarted.type)
      await ctx.publish({ type: userDeletionConfirmed.type, subject, data: { user_id, service } })
  },
})
