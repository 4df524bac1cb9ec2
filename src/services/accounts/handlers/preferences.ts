import { defineHandler } from '../../../index.ts'
import { aboutUser } from '../about-user.ts'
import { userPreferencesRemovalRequested, userPreferencesSet, userRegistered } from '../contracts.ts'

const languages: Readonly<Record<string, 'de' | 'fr' | 'es' | 'ja'>> = {
  DE: 'de',
  AT: 'de',
  FR: 'fr',
  ES: 'es',
  JP: 'ja',
}

/** Preferences for every new user, by country, and whatever the user sets later. Nobody is subscribed to a newsletter unasked. */
export const preferences = defineHandler({
  name: 'accounts.preferences',
  on: [userRegistered, userPreferencesSet, userPreferencesRemovalRequested],
  async handle(event, ctx) {
    const { data, time } = event
    const { user_id } = data
    if ('preferences' in data) {
      const { language, newsletter, theme } = data.preferences
      await ctx.sql`
        insert into accounts.preferences (user_id, language, newsletter, theme, event_time)
        select ${user_id}, ${language}, ${newsletter}, ${theme}, ${time}
        where not exists (select from accounts.tombstones where user_id = ${user_id})
        on conflict (user_id) do update set language = excluded.language, newsletter = excluded.newsletter,
          theme = excluded.theme, event_time = excluded.event_time
        where accounts.preferences.event_time <= excluded.event_time`
    } else if ('email' in data) {
      const known = await ctx.sql`
        select from accounts.preferences where user_id = ${user_id}
        union all select from accounts.tombstones where user_id = ${user_id}`
      if (known.length > 0) return
      const language = languages[data.country ?? ''] ?? 'en'
      const given = { language, newsletter: false, theme: 'light' } as const
      await ctx.publish(aboutUser(userPreferencesSet, { user_id, preferences: given }))
    } else await ctx.sql`delete from accounts.preferences where user_id = ${user_id} and event_time <= ${time}`
  },
})
