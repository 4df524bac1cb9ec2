import { defineHandler } from '../../../index.ts'
import { cacheInvalidated } from '../contracts.ts'

/** A cache entry is good while it has the generation that stands here: readers compare, nobody has to be told. */
export const cache = defineHandler({
  name: 'icons.cache',
  on: [cacheInvalidated],
  priority: 'high',
  async handle(event, ctx) {
    const { scope, key, reason } = event.data.system_data
    await ctx.sql`
      insert into icons.cache (scope, key, reason, invalidated_at) values (${scope}, ${key}, ${reason}, ${event.time})
      on conflict (scope, key) do update set
        generation = icons.cache.generation + 1, reason = excluded.reason, invalidated_at = excluded.invalidated_at
      where icons.cache.invalidated_at < excluded.invalidated_at`
  },
})
