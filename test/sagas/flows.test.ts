import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Bridge } from '../../src/index.ts'
import { createTestDatabase, type TestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { handlers, registry, sagas } from './flows.ts'
import { dataOf, historyOf, publish, startBridge, untilSaga } from './running.ts'

describe('the flows of the event bus guide', () => {
  let database: TestDatabase
  let bridge: Bridge
  const store = () => database.store
  beforeAll(async () => {
    database = await createTestDatabase()
    await store().query('create table reset_tokens (id text)')
    bridge = await startBridge(database.url, { sagas, handlers, registry })
  })
  afterAll(async () => {
    await bridge.stop()
    await database[Symbol.asyncDispose]()
  })

  it('a registration asks one service after the other, two at the same time, and completes', async () => {
    const id = await publish(store(), 'user.registered', { userId: 'ada', email: 'ada@example.org' })
    const saga = await untilSaga(store(), 'accounts.registration', 'ada', 'completed')
    expect(saga.state).toEqual({ userId: 'ada', email: 'ada@example.org', profileId: 'p-ada' })
    expect(saga).toMatchObject({ startedBy: id, correlationId: id, next: null, sensitive: ['email'] })
    const history = await historyOf(store(), saga.id)
    expect(history.slice(0, 5)).toEqual([
      'started',
      'ran profile',
      'answered profile',
      'ran preferences',
      'ran welcome',
    ])
    expect(history.slice(5, 7).sort()).toEqual(['answered preferences', 'answered welcome'])
    expect(history.slice(7)).toEqual(['ran analytics', 'ran (onCompleted)', 'completed'])
    expect(await dataOf(store(), 'registration.completed')).toEqual([{ userId: 'ada', profileId: 'p-ada' }])
    const { rows } = await store().query(
      "select distinct correlation_id from evt.outbox where type like 'saga.due%' or source <> 'evt test'",
    )
    expect(rows).toEqual([{ correlation_id: id }])
  })

  it('a deletion that a service refuses is taken back, the last step first; a key has it once', async () => {
    await publish(store(), 'user.deletion-requested', { userId: 'bob' })
    await until(async () => (await dataOf(store(), 'files.erasure-requested')).length > 0)
    await publish(store(), 'files.erased', { userId: 'bob' })
    await until(async () => (await dataOf(store(), 'orders.erasure-requested')).length > 0)
    await publish(store(), 'orders.erasure-refused', { userId: 'bob', reason: 'an order is open' })
    const saga = await untilSaga(store(), 'accounts.deletion', 'bob', 'failed')
    expect(saga.reason).toBe('step orders was refused by orders.erasure-refused')
    expect((await historyOf(store(), saga.id)).slice(-6)).toEqual([
      'refused orders',
      'failing',
      'compensated files',
      'compensated freeze',
      'ran (onFailed)',
      'failed',
    ])
    expect(await dataOf(store(), 'user.deletion-failed')).toEqual([{ userId: 'bob', reason: saga.reason }])
    expect(await dataOf(store(), 'account.unfrozen')).toHaveLength(1)
    await publish(store(), 'user.deletion-requested', { userId: 'bob' })
    await until(async () => (await historyOf(store(), saga.id)).at(-1) === 'ignored')
  })

  it('a deletion that everybody carries out deletes', async () => {
    await publish(store(), 'user.deletion-requested', { userId: 'cleo' })
    await publish(store(), 'files.erased', { userId: 'cleo' })
    await publish(store(), 'orders.erased', { userId: 'cleo' })
    await untilSaga(store(), 'accounts.deletion', 'cleo', 'completed')
    expect(await dataOf(store(), 'user.deleted')).toEqual([{ userId: 'cleo' }])
  })

  it('a password reset that nobody confirms expires, and takes its token back', async () => {
    await publish(store(), 'password.reset-requested', { requestId: 'r1', userId: 'ada' })
    const saga = await untilSaga(store(), 'accounts.password-reset', 'r1', 'failed')
    expect(saga.reason).toBe('step confirm timed out: no password.reset-confirmed within 400ms')
    expect((await store().query('select from reset_tokens')).rows).toEqual([])
    expect(await dataOf(store(), 'password.reset-expired')).toHaveLength(1)
  })

  it('a confirmed password reset changes the password', async () => {
    await publish(store(), 'password.reset-requested', { requestId: 'r2', userId: 'ada' })
    await publish(store(), 'password.reset-confirmed', { requestId: 'r2', userId: 'ada' })
    await untilSaga(store(), 'accounts.password-reset', 'r2', 'completed')
    expect(await dataOf(store(), 'password.changed')).toEqual([{ requestId: 'r2', userId: 'ada' }])
  })

  it('an export goes on at its deadline and says who is missing', async () => {
    await publish(store(), 'user.data-export-requested', { userId: 'dan' })
    for (const service of ['orders', 'accounts', 'strangers', 'orders'])
      await publish(store(), 'user.data-contributed', { userId: 'dan', service })
    const saga = await untilSaga(store(), 'privacy.export', 'dan', 'completed')
    expect(saga.steps.collect).toMatchObject({ status: 'done', missing: ['files'] })
    const [done] = await dataOf(store(), 'user.data-export-completed')
    expect(done?.missing).toEqual(['files'])
    expect(String(done?.url).split('?')[1]?.split('+').sort()).toEqual(['accounts', 'orders'])
  })

  it('an export is done as soon as everybody has answered', async () => {
    await publish(store(), 'user.data-export-requested', { userId: 'eve' })
    for (const service of ['orders', 'accounts', 'files'])
      await publish(store(), 'user.data-contributed', { userId: 'eve', service })
    const saga = await untilSaga(store(), 'privacy.export', 'eve', 'completed')
    expect(saga.steps.collect).toMatchObject({ missing: [] })
  })
})
