import { defineHandler } from '../../../index.ts'
import { accountDeleted, authLogin, authLogout, authSessionChanged } from '../../accounts/contracts.ts'
import { userDeleted } from '../contracts.ts'
import { bury } from '../tombstones.ts'

/** Who is logged in, and with which permissions this session goes beyond or below the role's. Who leaves takes them along. */
export const sessions = defineHandler({
  name: 'icons.sessions',
  on: [authLogin, authLogout, authSessionChanged, userDeleted, accountDeleted],
  linger: '50ms',
  async handle(event, ctx) {
    if (!('auth_data' in event.data)) {
      await bury(ctx, { ...event, data: event.data })
      await ctx.sql`delete from icons.sessions where user_id = ${event.data.user_id}`
      return
    }
    const { user_id, auth_data: session } = event.data
    const granted = 'permissions' in session ? session.permissions : null
    const endedAt = event.type === authLogout.type ? event.time : null
    await ctx.sql`
      insert into icons.sessions (session_id, user_id, ip, permissions, started_at, ended_at, event_time)
      select ${session.session_id}, ${user_id}, ${session.ip ?? ''}, coalesce(${granted}::text[], '{read}'), ${event.time}, ${endedAt},
        ${event.time}
      where not exists (select from icons.tombstones where user_id = ${user_id})
      on conflict (session_id) do update set
        ip = excluded.ip, permissions = coalesce(${granted}::text[], icons.sessions.permissions),
        ended_at = excluded.ended_at, event_time = excluded.event_time
      where icons.sessions.ended_at is null
        and (icons.sessions.event_time <= excluded.event_time or excluded.ended_at is not null)`
  },
})
