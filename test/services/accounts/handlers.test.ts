import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EvtEvent, NewEvent } from '../../../src/index.ts'
import { aboutUser } from '../../../src/services/accounts/about-user.ts'
import * as say from '../../../src/services/accounts/contracts.ts'
import { accounts } from '../../../src/services/accounts/service.ts'
import { openServiceDatabase, type ServiceDatabase } from '../commerce/service-database.ts'
import { at, failsToLogIn, logsIn, registers } from './people.ts'

let database: ServiceDatabase
beforeAll(async () => {
  database = await openServiceDatabase([accounts])
})
afterAll(() => database[Symbol.asyncDispose]())

/** Handled; and what was published because of it. */
const hear = (...events: readonly NewEvent[]) =>
  database.succeed(
    ...events.map(({ type, data, time, ...more }) => ({
      ...database.event(type, 0, data, more),
      ...(time ? { time } : {}),
    })),
  )
const rows = (text: string, ...values: readonly unknown[]) => database.rows(text, ...values)
const kinds = (events: readonly EvtEvent[]) => events.map(({ type }) => type)
const later = <T>(event: NewEvent<T>, second: number) => ({ ...event, time: at(second) })

/** All tables of the service, for what must not change. */
async function everything(): Promise<unknown> {
  const tables = await rows(
    "select table_name as name from information_schema.tables where table_schema = 'accounts' and table_type = 'BASE TABLE'",
  )
  return Promise.all(
    tables.map(async ({ name }) => [
      name,
      await rows(`select to_jsonb(t)::text as row from accounts.${String(name)} t order by 1`),
    ]),
  )
}

describe('accounts.user-authentication', () => {
  it('sets up who registers, with the roles of the tenant', async () => {
    const tenant_id = randomUUID()
    const event = registers({ tenant_id })
    await hear(event)
    const { user_id } = event.data
    expect(await rows('select tenant_id, registered_by from accounts.users where user_id = $1', user_id)).toEqual([
      { tenant_id, registered_by: 'self_service' },
    ])
    expect(await rows('select tenant, roles from accounts.roles where user_id = $1', user_id)).toEqual([
      { tenant: tenant_id, roles: ['member'] },
    ])
  })

  it.each([
    ['free', false, 10],
    ['starter', false, 10],
    ['business', true, 5],
    ['enterprise', true, 3],
  ])('configures a tenant on plan %s, and says so once', async (plan, mfa_required, most_failures) => {
    const tenant_id = randomUUID()
    const tenant_data = { company_name: 'Acme', owner_email: 'a@b.co', country: 'GB', plan }
    const created = { type: 'tenant.created', subject: `tenant/${tenant_id}`, data: { tenant_id, tenant_data } }
    const [configured, ...others] = await hear(created, created)
    expect(others).toEqual([])
    expect(configured).toMatchObject({
      type: 'auth.tenant_configured',
      subject: `tenant/${tenant_id}`,
      data: { tenant_id, mfa_required, most_failures },
    })
  })

  it('follows roles that the platform gives and takes, and those of no tenant', async () => {
    const [user_id, tenant_id] = [randomUUID(), randomUUID()]
    const change = (role: string | null, second: number) =>
      later({ type: 'role.changed', data: { user_id, tenant_id, role, changed_by: 'root' } }, second)
    const published = await hear(change('admin', 1), change(null, 3), change('editor', 2))
    expect(published.slice(0, 2).map(({ data }) => (data as { roles: unknown }).roles)).toEqual([['admin'], []])
    await hear(aboutUser(say.authRoleChanged, { user_id, roles: ['operator'] }))
    expect(await rows('select tenant, roles from accounts.roles where user_id = $1 order by 1', user_id)).toEqual([
      { tenant: '', roles: ['operator'] },
      { tenant: tenant_id, roles: [] },
    ])
  })
})

describe('accounts.security', () => {
  const lockOf = (userId: string) =>
    rows('select failures, locked_until, unlocked_at from accounts.lockouts where user_id = $1', userId)

  it('locks an account at the fifth failure within a quarter of an hour, and unlocks it by itself', async () => {
    const user = randomUUID()
    const four = [0, 1, 2, 3].map((second) => failsToLogIn(user, { second }))
    expect(await hear(...four)).toEqual([])
    const published = await hear(failsToLogIn(user, { second: 4 }))
    const locked_until = at(4 + 900)
    expect(published).toMatchObject([
      { type: 'auth.account_locked', data: { failures: 5, locked_until } },
      { type: 'auth.account_unlocked', data: { reason: 'expired' }, deliverAt: locked_until, time: locked_until },
    ])
    expect(await hear(failsToLogIn(user, { second: 5 }))).toEqual([])
    await hear(published[1] as EvtEvent)
    expect(await lockOf(user)).toMatchObject([{ unlocked_at: new Date(locked_until) }])
  })

  it('counts from the last login on, and forgets what is older than the window', async () => {
    const user = randomUUID()
    const failures = (from: number) => [0, 1, 2, 3].map((second) => failsToLogIn(user, { second: from + second }))
    expect(await hear(...failures(0), logsIn(user, { second: 10 }), ...failures(20), ...failures(2_000))).toEqual([])
    expect(await lockOf(user)).toEqual([])
  })

  it('asks the tenant how many failures are too many', async () => {
    const tenant_id = randomUUID()
    const event = registers({ tenant_id })
    const { user_id } = event.data
    const tenant_data = { company_name: 'Acme', owner_email: 'a@b.co', country: 'GB', plan: 'enterprise' }
    await hear(event, { type: 'tenant.created', data: { tenant_id, tenant_data } })
    const published = await hear(...[1, 2, 3].map((second) => failsToLogIn(user_id, { second })))
    expect(published[0]).toMatchObject({ data: { failures: 3, locked_until: at(3 + 3600) } })
  })

  it('lets the end of an earlier lock leave a later one alone', async () => {
    const user = randomUUID()
    const five = (from: number) => [0, 1, 2, 3, 4].map((second) => failsToLogIn(user, { second: from + second }))
    const [, expiry] = await hear(...five(0))
    const reset = aboutUser(say.authAccountUnlocked, { user_id: user, reason: 'password_reset' })
    await hear(later(reset, 10), logsIn(user, { second: 11 }), ...five(20))
    await hear(expiry as EvtEvent)
    expect(await lockOf(user)).toMatchObject([{ unlocked_at: null, locked_until: new Date(at(24 + 900)) }])
  })

  it('knows a login from a new address, a new country, and into a locked account', async () => {
    const user = randomUUID()
    const signals = async (from: Parameters<typeof logsIn>[1]) =>
      (await hear(logsIn(user, from)))
        .filter(({ type }) => type === 'auth.suspicious_login')
        .map(({ data }) => (data as { signals: unknown }).signals)
    expect(await signals({ second: 1 })).toEqual([])
    expect(await signals({ second: 2 })).toEqual([])
    expect(await signals({ second: 3, ip: '192.0.2.2' })).toEqual([['new_ip']])
    expect(await signals({ second: 4, ip: '198.51.100.7', country: 'BR' })).toEqual([['new_ip', 'new_country']])
    await hear(...[5, 6, 7, 8, 9].map((second) => failsToLogIn(user, { second })))
    expect(await signals({ second: 10 })).toEqual([['account_locked']])
  })
})

describe('accounts.credentials and accounts.sessions', () => {
  it('keep when and how, and end sessions with the password that they began with', async () => {
    const user = randomUUID()
    const login = logsIn(user, { second: 1 })
    await hear(
      login,
      aboutUser(say.authMfaEnrolled, { user_id: user, method: 'totp' }),
      later(aboutUser(say.authPasswordChanged, { user_id: user, by: 'user' }), 5),
      logsIn(user, { second: 9 }),
    )
    const sessions = await rows('select ended_at from accounts.sessions where user_id = $1 order by started_at', user)
    expect(sessions).toEqual([{ ended_at: new Date(at(5)) }, { ended_at: null }])
    expect(await rows('select method from accounts.mfa where user_id = $1', user)).toEqual([{ method: 'totp' }])
    expect(await rows('select changed_by from accounts.credentials where user_id = $1', user)).toEqual([
      { changed_by: 'user' },
    ])
  })
})

it('what ends something, and what is said of a new user, counts by any clock', async () => {
  const event = registers()
  const { user_id } = event.data
  const login = logsIn(user_id, { second: 8 })
  const about = <T extends { readonly user_id: string }>(type: Parameters<typeof aboutUser<T>>[0], data: T) =>
    later(aboutUser(type, data), 3)
  await hear(
    later(event, 9),
    about(say.userRegistrationCompleted, { user_id }),
    about(say.authRoleChanged, { user_id, roles: ['owner'] }),
    login,
    later({ ...login, type: 'auth.logout' }, 3),
  )
  const status = 'select status from accounts.statuses where user_id = $1'
  expect(await rows(status, user_id)).toEqual([{ status: 'active' }])
  expect(await rows('select roles from accounts.roles where user_id = $1', user_id)).toEqual([{ roles: ['owner'] }])
  const open = 'select from accounts.sessions where user_id = $1 and ended_at is null'
  expect(await rows(open, user_id)).toEqual([])
  await hear(
    later(aboutUser(say.accountDeleted, { user_id }), 1),
    later(aboutUser(say.accountUnfrozen, { user_id }), 99),
  )
  expect(await rows(status, user_id)).toEqual([{ status: 'deleted' }])
})

describe('what a service holds of a user', () => {
  it('is erased when a deletion starts, and again at its end for whatever was written meanwhile', async () => {
    const event = registers()
    const { user_id } = event.data
    await hear(event)
    const confirmed = await hear(aboutUser(say.userDeletionStarted, { user_id }))
    expect(confirmed.map(({ data }) => (data as { service: string }).service).sort()).toEqual([
      'analytics',
      'auth',
      'mail',
      'users',
    ])
    await rows("insert into accounts.mails values (gen_random_uuid(), $1, 'welcome', $2, now())", user_id, randomUUID())
    expect(await hear(aboutUser(say.accountDeleted, { user_id }))).toEqual([])
    expect(await rows('select from accounts.mails where user_id = $1', user_id)).toEqual([])
  })
})

describe('every handler', () => {
  const story = () => {
    const event = registers()
    const { user_id } = event.data
    const profile_data = { display_name: 'Ada L.', about: 'numbers' }
    const preferences = { language: 'ja', newsletter: true, theme: 'dark' } as const
    return [
      later(event, 0),
      later(aboutUser(say.userPreferencesSet, { user_id, preferences }), 1),
      later(aboutUser(say.userProfileUpdated, { user_id, profile_data, changes: ['display_name'] }), 2),
      later(aboutUser(say.authRoleChanged, { user_id, roles: ['admin'] }), 3),
      later(aboutUser(say.userRegistrationCompleted, { user_id }), 4),
      later(aboutUser(say.authPasswordChanged, { user_id, by: 'operator' }), 5),
      logsIn(user_id, { second: 6, ip: '203.0.113.9' }),
      ...[7, 8, 9, 10, 11].map((second) => failsToLogIn(user_id, { second })),
      later(aboutUser(say.accountFrozen, { user_id }), 12),
    ].map((one) => ({ id: randomUUID(), ...one }))
  }

  it('changes nothing when it hears the same again, or what is older', async () => {
    const events = story()
    await hear(...events)
    const [user_id] = events.map(({ data }) => data.user_id)
    const before = await everything()
    const older = [
      later(aboutUser(say.userRegistrationCompleted, { user_id: String(user_id) }), -9),
      later(aboutUser(say.authRoleChanged, { user_id: String(user_id), roles: ['nobody'] }), -9),
      later(aboutUser(say.authPasswordChanged, { user_id: String(user_id), by: 'user' }), -9),
    ]
    expect(kinds(await hear(...events, ...older))).toEqual([])
    expect(await everything()).toEqual(before)
  })
})
