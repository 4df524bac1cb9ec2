import { defineHandler, type HandlerContext } from '../../../index.ts'
import { aboutUser } from '../about-user.ts'
import {
  authAccountLocked,
  authAccountUnlocked,
  authLogin,
  authLoginFailed,
  authSuspiciousLogin,
  userPasswordResetCompleted,
} from '../contracts.ts'

/** Of users without a tenant. */
const usual = { most_failures: 5, window_seconds: 900, lockout_seconds: 900 }

/** Looks at each attempt to log in: too many failures lock the account for a while, and a login from a new place is told to its owner. */
export const security = defineHandler({
  name: 'accounts.security',
  on: [authLogin, authLoginFailed, authAccountUnlocked, userPasswordResetCompleted],
  priority: 'critical',
  concurrency: 10,
  // One each: those of a batch would be eight at the same time.
  transaction: 'event',
  async handle(event, ctx) {
    const { data, time } = event
    const { user_id } = data
    if ('request_id' in data) {
      await ctx.publish(aboutUser(authAccountUnlocked, { user_id, reason: 'password_reset' }))
      return
    }
    if (!('auth_data' in data)) {
      // An earlier lock's end is none of this one's.
      await ctx.sql`
        update accounts.lockouts set unlocked_at = ${time}
        where user_id = ${user_id} and unlocked_at is null and locked_at <= ${time}
          and (${data.reason} <> 'expired' or locked_until <= ${time})`
      return
    }
    const { ip, country = null } = data.auth_data
    const succeeded = event.type === authLogin.type
    const signals = succeeded ? await signalsOf({ user_id, ip, country, time }, ctx) : []
    const noted = await ctx.sql`
      insert into accounts.login_attempts (event_id, user_id, ip, country, succeeded, event_time)
      select ${event.id}, ${user_id}, ${ip}, ${country}, ${succeeded}, ${time}
      where not exists (select from accounts.tombstones where user_id = ${user_id})
      on conflict (event_id) do nothing returning event_id`
    if (noted.length === 0) return
    if (!succeeded) await lockWhenTooMany({ user_id, time }, ctx)
    else if (signals.length > 0 && 'session_id' in data.auth_data)
      await ctx.publish(aboutUser(authSuspiciousLogin, { user_id, auth_data: data.auth_data, signals }))
  },
})

interface Login {
  readonly user_id: string
  readonly ip: string | null
  readonly country: string | null
  readonly time: string
}

/** Nobody is surprised by a first login. */
async function signalsOf({ user_id, ip, country, time }: Login, { sql }: HandlerContext) {
  const [found] = await sql<{ known: boolean; new_ip: boolean; new_country: boolean; locked: boolean }>`
    select count(*) > 0 as known, ${ip}::text is not null and count(*) filter (where ip = ${ip}) = 0 as new_ip,
      ${country}::text is not null and count(*) filter (where country = ${country}) = 0
        and count(country) > 0 as new_country,
      exists (select from accounts.lockouts where user_id = ${user_id} and unlocked_at is null
        and locked_at <= ${time} and locked_until > ${time}) as locked
    from accounts.login_attempts where user_id = ${user_id} and succeeded and event_time < ${time}`
  if (!found) return []
  return [
    ...(found.known && found.new_ip ? ['new_ip' as const] : []),
    ...(found.known && found.new_country ? ['new_country' as const] : []),
    ...(found.locked ? ['account_locked' as const] : []),
  ]
}

/** Failures since the last success, within the time that the tenant says. The lock ends by itself, with an event of that time. */
async function lockWhenTooMany({ user_id, time }: Pick<Login, 'user_id' | 'time'>, { sql, publish }: HandlerContext) {
  const [config = usual] = await sql<typeof usual>`
    select most_failures, window_seconds, lockout_seconds
    from accounts.tenant_configuration join accounts.users using (tenant_id) where user_id = ${user_id}`
  const locked_until = new Date(Date.parse(time) + config.lockout_seconds * 1000).toISOString()
  const [locked] = await sql<{ failures: number }>`
    insert into accounts.lockouts (user_id, failures, locked_at, locked_until)
    select ${user_id}, count(*), ${time}, ${locked_until}
    from accounts.login_attempts
    where user_id = ${user_id} and not succeeded and event_time <= ${time}
      and event_time > ${time}::timestamptz - make_interval(secs => ${config.window_seconds})
      and event_time > coalesce((select max(event_time) from accounts.login_attempts
        where user_id = ${user_id} and succeeded and event_time <= ${time}), '-infinity')
    having count(*) >= ${config.most_failures}
    on conflict (user_id) do update set failures = excluded.failures, locked_at = excluded.locked_at,
      locked_until = excluded.locked_until, unlocked_at = null
    where accounts.lockouts.locked_at < excluded.locked_at
      and (accounts.lockouts.unlocked_at is not null or accounts.lockouts.locked_until <= excluded.locked_at)
    returning failures`
  if (!locked) return
  await publish(aboutUser(authAccountLocked, { user_id, failures: locked.failures, locked_until }))
  const unlocked = aboutUser(authAccountUnlocked, { user_id, reason: 'expired' })
  await publish({ ...unlocked, time: locked_until, deliverAt: locked_until })
}
