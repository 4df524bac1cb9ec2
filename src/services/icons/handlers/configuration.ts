import { defineHandler } from '../../../index.ts'
import { cacheInvalidated, configurationChanged } from '../contracts.ts'

/** Settings that are numbers, with the caches that depend on them. */
const numeric: Readonly<Record<string, 'icon' | 'all' | 'none'>> = {
  'icons.cache_ttl': 'all',
  'icons.page_size': 'icon',
  'icons.max_upload': 'none',
  'search.limit': 'none',
  'export.timeout': 'none',
}

/** Applies configuration. A number that is none is a mistake of whoever set it: the earlier value stays. */
export const configuration = defineHandler({
  name: 'icons.configuration',
  on: [configurationChanged],
  nonRetryable: ['RangeError'],
  async handle(event, ctx) {
    const { key, value } = event.data.system_data
    const number = key in numeric ? Number(value) : null
    if (Number.isNaN(number)) throw new RangeError(`setting ${key} is no number`)
    const applied = await ctx.sql`
      insert into icons.configuration (key, value, number, event_time) values (${key}, ${value}, ${number}, ${event.time})
      on conflict (key) do update set value = excluded.value, number = excluded.number, event_time = excluded.event_time
      where icons.configuration.event_time <= excluded.event_time
      returning key`
    const scope = numeric[key] ?? 'none'
    if (applied.length === 0 || scope === 'none') return
    await ctx.publish({ type: cacheInvalidated.type, data: { system_data: { scope, key, reason: 'configuration' } } })
  },
})
