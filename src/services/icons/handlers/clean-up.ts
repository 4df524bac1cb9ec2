import { defineHandler } from '../../../index.ts'
import { cacheInvalidated, userDeleted } from '../contracts.ts'

/**
 * A deleted user leaves no usage here, and the caches hear of it. What other handlers write for the user's own events they remove
 * themselves: handlers do not wait for each other, and one that is behind would write it again.
 */
export const cleanUp = defineHandler({
  name: 'icons.clean-up',
  on: [userDeleted],
  async handle(event, ctx) {
    const { user_id } = event.data
    // In key order: a document's own handler may be at the same rows.
    await ctx.sql`
      delete from icons.document_icons where (document_id, icon) in (
        select document_id, icon from icons.document_icons where user_id = ${user_id} order by document_id, icon for update)`
    await ctx.sql`
      delete from icons.usage_minutes where (document_id, icon, minute) in (
        select document_id, icon, minute from icons.usage_minutes where user_id = ${user_id}
        order by document_id, icon, minute for update)`
    await ctx.publish({
      type: cacheInvalidated.type,
      data: { system_data: { scope: 'user', key: user_id, reason: 'user.deleted' } },
    })
  },
})
