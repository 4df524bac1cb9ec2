import { randomBytes } from 'node:crypto'
import { afterAll, expect, it, onTestFinished } from 'vitest'
import { createPublisher, createRegistry, type NewEvent } from '../../../src/index.ts'
import { aboutUser } from '../../../src/services/accounts/about-user.ts'
import * as say from '../../../src/services/accounts/contracts.ts'
import { withEncryption } from '../../../src/services/accounts/encrypted.ts'
import { accounts } from '../../../src/services/accounts/service.ts'
import { createNowhere, start } from '../../commands/evt.ts'
import { untilSaga } from '../../sagas/running.ts'
import { createTestDatabase } from '../../setup/database.ts'
import { until } from '../../setup/until.ts'
import { registers, said, untilSaid } from './people.ts'

const nowhere = createNowhere()
afterAll(() => nowhere.dispose())

it('a deletion goes on where a killed bridge was, and nobody can read afterwards who it was about', async () => {
  const { url, store } = await createTestDatabase()
  const masterKey = randomBytes(32).toString('base64')
  const up = async () => {
    const bridge = start(['up', '--services', 'accounts'], {
      store: url,
      cwd: nowhere.path,
      env: { EVT_MASTER_KEY: masterKey },
    })
    onTestFinished(() => bridge.signal('SIGKILL'))
    await bridge.said(/4 of sagas/)
    return bridge
  }
  const { contracts } = withEncryption(accounts)
  const publisher = createPublisher({
    store,
    source: 'web',
    registry: createRegistry(contracts),
    privacy: { masterKey },
  })
  const publish = (event: NewEvent) => publisher.publishAll([event])
  const query = async (text: string) => (await store.query(text)).rows

  const first = await up()
  const event = registers({ username: 'Ada Lovelace' })
  const { user_id } = event.data
  await publish(event)
  await untilSaga(store, 'accounts.registration', user_id, 'completed')
  expect(await query('select username from accounts.users')).toEqual([{ username: 'Ada Lovelace' }])
  await query("insert into accounts.data_holders values ('billing')")
  await publish(aboutUser(say.userDeletionRequested, { user_id, reason: 'asked' }))
  await untilSaid(store, say.userDeletionStarted, user_id)
  first.signal('SIGKILL')
  await first.ended

  await publish(aboutUser(say.userDeletionConfirmed, { user_id, service: 'billing' }))
  await up()
  await untilSaid(store, say.accountDeleted, user_id)
  expect(await said(store, 'user.deletion_started', user_id)).toHaveLength(1)
  expect(await query('select from accounts.users')).toEqual([])
  expect(await query("select target, reason from evt.audit where verb = 'privacy forget'")).toEqual([
    { target: `user/${user_id}`, reason: 'asked' },
  ])
  expect(await query('select from evt.subject_keys where wrapped is not null')).toEqual([])
  // The log itself never had it in plain text.
  const log = JSON.stringify(await query('select data::text from evt.outbox'))
  expect(log).not.toMatch(/Lovelace|@example\.com/)
  await until(async () => (await query("select from accounts.statuses where status = 'deleted'")).length === 1)
  await publisher.close()
}, 30_000)
