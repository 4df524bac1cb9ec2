import { defineHandler } from '../../../index.ts'
import { cacheInvalidated, userDeleted } from '../contracts.ts'
import { bury } from '../tombstones.ts'

/**
 * A deleted user leaves no usage and no titles here, and the caches hear of it. Usage is written by documents' events, in another lane:
 * whoever writes it asks for the tombstone. What other handlers write for the user's own events they remove themselves.
 */
export const cleanUp = defineHandler({
  name: 'icons.clean-up',
  on: [userDeleted],
  async handle(event, ctx) {
    const { user_id } = event.data
    await bury(ctx, event)
    // `icons.usage` may be writing for this user, and has not seen the tombstone.
    await ctx.sql`select pg_advisory_xact_lock(hashtextextended(${user_id}, 0))`
    await ctx.sql`update icons.documents set title = '' where user_id = ${user_id}`
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
