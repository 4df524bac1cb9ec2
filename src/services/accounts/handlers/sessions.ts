import { defineHandler } from '../../../index.ts'
import { authLogin, authLogout, authPasswordChanged, authSessionChanged } from '../contracts.ts'

/** Who is logged in, and from where. A new password ends every session that began before it. */
export const sessions = defineHandler({
  name: 'accounts.sessions',
  on: [authLogin, authLogout, authSessionChanged, authPasswordChanged],
  linger: '50ms',
  async handle(event, ctx) {
    const { data, time } = event
    if (!('auth_data' in data)) {
      await ctx.sql`
        update accounts.sessions set ended_at = ${time}, event_time = ${time}
        where user_id = ${data.user_id} and ended_at is null and started_at <= ${time}`
      return
    }
    const { session_id, ip, user_agent, country = null } = data.auth_data
    const endedAt = event.type === authLogout.type ? time : null
    await ctx.sql`
      insert into accounts.sessions (session_id, user_id, ip, user_agent, country, started_at, ended_at, event_time)
      select ${session_id}, ${data.user_id}, ${ip}, ${user_agent}, ${country}, ${time}, ${endedAt}, ${time}
      where not exists (select from accounts.tombstones where user_id = ${data.user_id})
      on conflict (session_id) do update set ip = excluded.ip, user_agent = excluded.user_agent, country = excluded.country,
        ended_at = excluded.ended_at, event_time = excluded.event_time
      where accounts.sessions.ended_at is null
        and (accounts.sessions.event_time <= excluded.event_time or excluded.ended_at is not null)`
  },
})
