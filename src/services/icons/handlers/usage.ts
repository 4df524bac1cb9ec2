import { defineHandler } from '../../../index.ts'
import { documentCreated, documentDeleted, documentPublished, documentUpdated } from '../contracts.ts'
import { extractIcons } from '../markup.ts'

/** Which icons each document uses, counted from its content. Popularity and usage per user are views over it. */
export const usage = defineHandler({
  name: 'icons.usage',
  on: [documentCreated, documentUpdated, documentPublished, documentDeleted],
  linger: '50ms',
  nonRetryable: ['IconMarkupError'],
  async handle(event, ctx) {
    const { document_id, user_id, document_data: document } = event.data
    const gone = event.type === documentDeleted.type
    const uses = gone ? new Map<string, number>() : extractIcons(document.content)
    // Until this has committed, nobody who has left is cleaned up after (`icons.clean-up`).
    const [, written] = await Promise.all([
      ctx.sql`select pg_advisory_xact_lock_shared(hashtextextended(${user_id}, 0))`,
      ctx.sql`
        insert into icons.documents (document_id, user_id, title, is_public, deleted_at, event_time)
        select ${document_id}, ${user_id}, case when exists (select from icons.tombstones where user_id = ${user_id}) then '' else ${document.title} end,
          ${document.is_public}, ${gone ? event.time : null}, ${event.time}
        on conflict (document_id) do update set
          user_id = excluded.user_id, title = excluded.title, is_public = excluded.is_public,
          deleted_at = excluded.deleted_at, event_time = excluded.event_time
        where icons.documents.deleted_at is null
          and (icons.documents.event_time <= excluded.event_time or excluded.deleted_at is not null)
        returning document_id`,
    ])
    if (written.length === 0) return
    const used = [[...uses.keys()], [...uses.values()]]
    // Sent together: none of them needs to know what the one before found. A user who has left leaves no usage behind.
    await Promise.all([
      ctx.sql`delete from icons.document_icons where document_id = ${document_id} and icon <> all (${used[0]})`,
      ctx.sql`
        delete from icons.usage_minutes
        where document_id = ${document_id} and (${gone} or minute < ${event.time}::timestamptz - interval '30 days')`,
      ctx.sql`
        insert into icons.document_icons (document_id, icon, user_id, uses, used_at)
        select ${document_id}, used.icon, ${user_id}, used.uses, ${event.time}
        from unnest(${used[0]}::text[], ${used[1]}::integer[]) as used (icon, uses)
        where not exists (select from icons.tombstones where user_id = ${user_id})
        on conflict (document_id, icon) do update set uses = excluded.uses, used_at = excluded.used_at, user_id = excluded.user_id`,
      ctx.sql`
        insert into icons.usage_minutes (document_id, icon, minute, user_id, uses)
        select ${document_id}, used.icon, date_trunc('minute', ${event.time}::timestamptz), ${user_id}, used.uses
        from unnest(${used[0]}::text[], ${used[1]}::integer[]) as used (icon, uses)
        where not exists (select from icons.tombstones where user_id = ${user_id})
        on conflict (document_id, icon, minute) do update set uses = excluded.uses, user_id = excluded.user_id`,
    ])
  },
})
