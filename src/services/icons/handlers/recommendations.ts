import { defineHandler } from '../../../index.ts'
import { documentDeleted, documentPublished } from '../contracts.ts'
import { extractIcons } from '../markup.ts'

/** Icons that stand beside this document's icons in other recent documents, and not yet in it. At most five. */
export const recommendations = defineHandler({
  name: 'icons.recommendations',
  on: [documentPublished, documentDeleted],
  priority: 'low',
  linger: '50ms',
  nonRetryable: ['IconMarkupError'],
  async handle(event, ctx) {
    const { document_id, document_data: document } = event.data
    await ctx.sql`delete from icons.recommendations where document_id = ${document_id}`
    if (event.type === documentDeleted.type) return
    const own = [...extractIcons(document.content).keys()]
    await ctx.sql`
      insert into icons.recommendations (document_id, icon, score)
      select ${document_id}, near.icon, count(*)
      from unnest(${own}::text[]) as mine (icon)
      cross join lateral (
        select document_id from icons.document_icons
        where icon = mine.icon and document_id <> ${document_id} order by used_at desc limit 20
      ) others
      join icons.document_icons near on near.document_id = others.document_id and near.icon <> all (${own})
      group by near.icon order by count(*) desc, near.icon limit 5`
  },
})
