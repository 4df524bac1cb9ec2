import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Bridge, createPublisher, createRegistry, type NewEvent, type Publisher } from '../../../src/index.ts'
import { aboutUser } from '../../../src/services/accounts/about-user.ts'
import * as say from '../../../src/services/accounts/contracts.ts'
import { accounts } from '../../../src/services/accounts/service.ts'
import { advanceClock } from '../../../src/testing.ts'
import { historyOf, startBridge, untilSaga } from '../../sagas/running.ts'
import { createTestDatabase, type TestDatabase } from '../../setup/database.ts'
import { until } from '../../setup/until.ts'
import { registers, said, untilSaid } from './people.ts'

let database: TestDatabase
let bridge: Bridge
let publisher: Publisher
beforeAll(async () => {
  database = await createTestDatabase()
  bridge = await startBridge(database.url, { services: [accounts] })
  publisher = createPublisher({ store: database.store, registry: createRegistry(accounts.contracts), source: 'web' })
})
afterAll(async () => {
  await bridge.stop()
  await publisher.close()
  await database[Symbol.asyncDispose]()
})

const store = () => database.store
const publish = (event: NewEvent) => publisher.publishAll([event])
const rows = async (text: string, ...values: readonly unknown[]) => (await store().query(text, values)).rows
const newUser = async (more = {}) => {
  const event = registers(more)
  await publish(event)
  return event.data.user_id
}

describe('a registration', () => {
  it('makes a profile, preferences, a mail and a figure, and then the account is active', async () => {
    const user = await newUser({ username: 'ada', country: 'DE', tenant_id: randomUUID() })
    const saga = await untilSaga(store(), 'accounts.registration', user, 'completed')
    await untilSaid(store(), say.userRegistrationCompleted, user)
    const [profile] = await rows('select username, display_name from accounts.profiles where user_id = $1', user)
    expect(profile).toEqual({ username: 'ada', display_name: 'ada' })
    expect(saga.state).toEqual({ user_id: user, isWelcomed: true })
    const status = 'select status, profile_created from accounts.statuses where user_id = $1'
    await until(async () => (await rows(status, user))[0]?.status === 'active')
    expect(await rows(status, user)).toEqual([{ status: 'active', profile_created: true }])
    expect(await rows('select template from accounts.mails where user_id = $1', user)).toEqual([
      { template: 'welcome' },
    ])
    await until(async () => (await rows('select from accounts.preferences where user_id = $1', user)).length === 1)
    expect(await rows('select language, newsletter from accounts.preferences where user_id = $1', user)).toEqual([
      { language: 'de', newsletter: false },
    ])
    expect(await rows('select registered_by from accounts.signups where user_id = $1', user)).toHaveLength(1)
  })

  it('under a name that is taken is undone', async () => {
    const first = await newUser({ username: 'eve' })
    await untilSaid(store(), say.userProfileCreated, first)
    const second = await newUser({ username: 'eve' })
    const saga = await untilSaga(store(), 'accounts.registration', second, 'failed')
    expect(saga.reason).toBe('step profile was refused by user.profile_refused')
    const history = await historyOf(store(), saga.id)
    expect(history).toContain('compensated preferences')
    expect(history).not.toContain('compensated profile')
    await until(async () => {
      const [found] = await rows('select status from accounts.statuses where user_id = $1', second)
      return found?.status === 'failed'
    })
    await until(async () => (await rows('select from accounts.preferences where user_id = $1', second)).length === 0)
    expect(await rows('select from accounts.profiles where user_id = $1', first)).toHaveLength(1)
    // A mail about somebody who came later has gone out: one about the second would have, too.
    await untilSaid(store(), say.emailWelcomeSent, await newUser())
    expect(await said(store(), say.emailWelcomeSent.type, second)).toEqual([])
  })

  it('that stands still is undone when its time is over, and goes on without a mail', async () => {
    await bridge.pause('accounts.mail')
    const unwelcomed = await newUser()
    await untilSaid(store(), say.userTracked, unwelcomed)
    await untilSaid(store(), say.userProfileCreated, unwelcomed)
    await bridge.pause('accounts.profile')
    const stuck = await newUser()
    await untilSaid(store(), say.userTracked, stuck)
    await until(async () => (await historyOfKey(unwelcomed)).includes('answered preferences'))
    await until(async () => (await historyOfKey(stuck)).includes('answered preferences'))
    await advanceClock(store(), '6m')
    const failed = await untilSaga(store(), 'accounts.registration', stuck, 'failed')
    expect(failed.reason).toBe('step profile timed out: no user.profile_created within 5m')
    expect(await said(store(), 'user.profile_removal_requested', stuck)).toHaveLength(1)
    const done = await untilSaga(store(), 'accounts.registration', unwelcomed, 'completed')
    expect(done.state).toEqual({ user_id: unwelcomed, isWelcomed: false })
    await bridge.resume('accounts.mail')
    await bridge.resume('accounts.profile')
    await untilSaid(store(), say.emailWelcomeSent, unwelcomed)
  })

  const historyOfKey = async (key: string): Promise<string[]> => {
    const [found] = await rows("select id from evt.sagas where saga = 'accounts.registration' and key = $1", key)
    return found ? historyOf(store(), String(found.id)) : []
  }
})

describe('a deletion', () => {
  it('lets every service erase, and ends with account.deleted; nothing brings the user back', async () => {
    const user = await newUser({ username: 'gone' })
    await untilSaga(store(), 'accounts.registration', user, 'completed')
    await publish(aboutUser(say.userDeletionRequested, { user_id: user, reason: 'asked' }))
    await untilSaid(store(), say.accountDeleted, user)
    const services = ['analytics', 'auth', 'mail', 'users']
    expect(await said(store(), 'user.deletion_completed', user)).toEqual([{ user_id: user, services }])
    await until(async () => {
      const [found] = await rows('select status from accounts.statuses where user_id = $1', user)
      return found?.status === 'deleted'
    })
    await publish(registers({ user_id: user, username: 'gone' }))
    await publish(aboutUser(say.userEmailVerified, { user_id: user }))
    await until(
      async () =>
        (await rows('select email_verified from accounts.statuses where user_id = $1', user))[0]?.email_verified,
    )
    const left = await Promise.all(
      ['users', 'roles', 'profiles', 'preferences', 'mails', 'signups'].map((table) =>
        rows(`select from accounts.${table} where user_id = $1`, user),
      ),
    )
    expect(left.flat()).toEqual([])
  })

  it('of somebody whose data must be kept is refused before anything is erased', async () => {
    const user = await newUser()
    await untilSaga(store(), 'accounts.registration', user, 'completed')
    await rows("insert into accounts.legal_holds values ($1, 'a dispute is open')", user)
    await publish(aboutUser(say.userDeletionRequested, { user_id: user, reason: 'asked' }))
    const saga = await untilSaga(store(), 'accounts.deletion', user, 'failed')
    expect(saga.reason).toContain('the data must be kept: a dispute is open')
    expect(await historyOf(store(), saga.id)).toContain('compensated freeze')
    expect(await said(store(), 'user.deletion_started', user)).toEqual([])
    await until(async () => {
      const [found] = await rows('select status from accounts.statuses where user_id = $1', user)
      return found?.status === 'active'
    })
  })

  it('waits for every service that holds data, and asks again those that do not answer', async () => {
    await rows("insert into accounts.data_holders values ('billing')")
    const user = await newUser()
    await publish(aboutUser(say.userDeletionRequested, { user_id: user, reason: 'asked' }))
    await untilSaid(store(), say.userDeletionConfirmed, user, 4)
    const key = "select id from evt.sagas where saga = 'accounts.deletion' and key = $1"
    await until(async () => {
      const [found] = await rows(key, user)
      return (await historyOf(store(), String(found?.id))).filter((one) => one === 'answered erase').length === 4
    })
    expect(await said(store(), 'account.deleted', user)).toEqual([])
    await advanceClock(store(), '25h')
    await untilSaid(store(), say.userDeletionStarted, user, 2)
    await publish(aboutUser(say.userDeletionConfirmed, { user_id: user, service: 'billing' }))
    await untilSaga(store(), 'accounts.deletion', user, 'completed')
    await rows("delete from accounts.data_holders where service = 'billing'")
  })
})

describe('a password reset', () => {
  const asks = async () => {
    const [user_id, request_id] = [randomUUID(), randomUUID()]
    await publish(aboutUser(say.userPasswordResetRequested, { user_id, request_id, email: 'ada@example.com' }))
    await untilSaid(store(), say.emailPasswordResetSent, user_id)
    return { user_id, request_id }
  }
  const statusOf = async (request: string) => {
    const [found] = await rows('select status, token_hash from accounts.password_resets where request_id = $1', request)
    return found?.status
  }

  it('that is confirmed changes the password, and unlocks the account', async () => {
    const reset = await asks()
    await publish(aboutUser(say.userPasswordResetConfirmed, reset))
    await untilSaga(store(), 'accounts.password-reset', reset.request_id, 'completed')
    expect(await statusOf(reset.request_id)).toBe('used')
    expect(await said(store(), 'auth.password_changed', reset.user_id)).toEqual([
      { user_id: reset.user_id, by: 'reset' },
    ])
    expect(await untilSaid(store(), say.authAccountUnlocked, reset.user_id)).toMatchObject([
      { reason: 'password_reset' },
    ])
  })

  it('that nobody confirms within an hour expires', async () => {
    const reset = await asks()
    await until(async () => (await statusOf(reset.request_id)) === 'open')
    await advanceClock(store(), '61m')
    const saga = await untilSaga(store(), 'accounts.password-reset', reset.request_id, 'failed')
    expect(saga.reason).toBe('step confirm timed out: no user.password_reset_confirmed within 1h')
    expect(await statusOf(reset.request_id)).toBe('expired')
    expect(await said(store(), 'user.password_reset_expired', reset.user_id)).toEqual([
      { user_id: reset.user_id, request_id: reset.request_id },
    ])
  })
})

describe('an export', () => {
  const asks = async () => {
    const user_id = await newUser()
    await untilSaga(store(), 'accounts.registration', user_id, 'completed')
    const export_id = randomUUID()
    await publish(aboutUser(say.userDataExportRequested, { user_id, export_id }))
    return { user_id, export_id }
  }

  it('has what every service knows, a link, and a mail', async () => {
    const { user_id, export_id } = await asks()
    const [done] = await untilSaid(store(), say.userDataExportCompleted, user_id)
    const url = `https://accounts.example/exports/${export_id}`
    const services = ['analytics', 'auth', 'mail', 'users']
    expect(done).toEqual({ user_id, export_id, url, services, missing: [] })
    const parts = await rows('select service, document from accounts.export_parts where export_id = $1', export_id)
    const users = JSON.parse(String(parts.find(({ service }) => service === 'users')?.document))
    expect(users.profiles[0]).toMatchObject({ user_id, username: user_id })
    await untilSaid(store(), say.emailDataExportSent, user_id)
  })

  it('goes on at its deadline, and says who is missing', async () => {
    await bridge.pause('accounts.mail-data')
    const { user_id } = await asks()
    await untilSaid(store(), say.userDataExportContributed, user_id, 3)
    await until(async () => (await rows('select from accounts.export_parts where user_id = $1', user_id)).length === 3)
    await advanceClock(store(), '11m')
    expect(await untilSaid(store(), say.userDataExportCompleted, user_id)).toMatchObject([
      { services: ['analytics', 'auth', 'users'], missing: ['mail'] },
    ])
    await bridge.resume('accounts.mail-data')
  })
})
