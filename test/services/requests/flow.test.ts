import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Bridge } from '../../../src/index.ts'
import { requests } from '../../../src/services/requests/service.ts'
import { dataOf, publish, startBridge, untilSaga } from '../../sagas/running.ts'
import { createTestDatabase, type TestDatabase } from '../../setup/database.ts'
import { until } from '../../setup/until.ts'

let database: TestDatabase
let bridge: Bridge
const store = () => database.store
const withinMs = 20_000
const say = (type: string, id: string, data: object) =>
  publish(store(), type, data, { subject: `${type.split('.')[0]}/${id}` })

beforeAll(async () => {
  database = await createTestDatabase({ max: 20 })
  bridge = await startBridge(database.url, { services: [requests] })
  for (const user_id of [1, 2]) {
    const user = { user_id, first_name: 'Ada', full_name: 'Ada', role: 'executor', specializations: ['electrical'] }
    await store().query(`select evt.publish('requests.user.created', $1::json, $2, version => 2)`, [
      JSON.stringify(user),
      `user/${user_id}`,
    ])
  }
  await until(async () => (await store().query('select from requests.users')).rows.length === 2, { withinMs })
})
afterAll(async () => {
  await bridge?.stop()
  await database?.[Symbol.asyncDispose]()
})

async function ask(more: object = {}): Promise<string> {
  const request_id = randomUUID()
  const data = { user_id: 9, category: 'electrical', urgency: 'high', description: 'no light', address: 'Road 1' }
  await say('request.created', request_id, { request_id, ...data, dispatch: 'automatic', ...more })
  return request_id
}
interface Offer {
  readonly assignment_id: string
  readonly request_id: string
  readonly executor_id: number
}
const offersOf = async (request_id: string) =>
  (await dataOf(store(), 'assignment.created')).filter((one) => one.request_id === request_id) as unknown as Offer[]
const offerOf = (request_id: string, nth: number) =>
  until(async () => (await offersOf(request_id))[nth], { withinMs, what: `offer ${nth} of ${request_id}` })
const statusOf = async (request_id: string) =>
  (await store().query('select status from requests.requests where request_id = $1', [request_id])).rows[0]?.status
const untilStatus = (request_id: string, status: string) =>
  until(async () => (await statusOf(request_id)) === status, { withinMs, what: `${request_id} is ${status}` })

it('a request is offered, refused, offered to the next, accepted, done, and its executor is told', async () => {
  const id = await ask()
  const first = await offerOf(id, 0)
  await say('assignment.rejected', first.assignment_id, { ...first, reason: 'busy' })
  const second = await offerOf(id, 1)
  expect(second.executor_id).not.toBe(first.executor_id)
  await say('assignment.accepted', second.assignment_id, second)
  await untilStatus(id, 'assigned')
  const delivered = `select from requests.notifications where about = $1 and status = 'delivered'`
  await until(async () => (await store().query(delivered, [`request/${id}`])).rows.length === 1, { withinMs })
  await say('assignment.completed', second.assignment_id, { ...second, report: 'a new fuse' })
  await untilStatus(id, 'completed')
  await untilSaga(store(), 'requests.assignment', id, 'completed')
})

it('who does not answer in time is asked no more, and the next one is', async () => {
  const id = await ask()
  const first = await offerOf(id, 0)
  const isAsked = 'select from requests.assignments where assignment_id = $1'
  await until(async () => (await store().query(isAsked, [first.assignment_id])).rows.length === 1, { withinMs })
  await store().query(
    `update evt.timers t set due_at = clock_timestamp() from evt.sagas s where s.id = t.saga_id and s.key = $1 and t.step = 'accepted'`,
    [id],
  )
  const second = await offerOf(id, 1)
  expect(second.executor_id).not.toBe(first.executor_id)
  const rejected = (await dataOf(store(), 'assignment.rejected')).find((one) => one.request_id === id)
  expect(rejected).toMatchObject({ assignment_id: first.assignment_id, reason: 'no answer in time' })
  // Too late: a dead letter that says so.
  await say('assignment.accepted', first.assignment_id, first)
  const late = `select error_message from evt.dead_letters where handler = 'requests.assignments'`
  await until(async () => (await store().query(late)).rows.length === 1, { withinMs })
  expect((await store().query(late)).rows[0]?.error_message).toContain(
    'is rejected: there can be no assignment.accepted',
  )
})

it('a request that is cancelled while somebody is asked takes the question back', async () => {
  const id = await ask()
  const first = await offerOf(id, 0)
  await say('request.cancelled', id, { request_id: id, reason: 'it works again' })
  const saga = await untilSaga(store(), 'requests.assignment', id, 'failed')
  expect(saga.reason).toContain('request.cancelled')
  const open = `select from requests.assignments where request_id = $1 and status = 'created'`
  await until(async () => (await store().query(open, [id])).rows.length === 0, { withinMs })
  expect(await offersOf(id)).toEqual([first])
  expect(await statusOf(id)).toBe('cancelled')
})

it('a request that is cancelled while nobody can be asked is cancelled once', async () => {
  const id = await ask({ category: 'plumbing' })
  await untilSaga(store(), 'requests.assignment', id, 'running')
  await say('request.cancelled', id, { request_id: id, reason: 'it works again' })
  await untilSaga(store(), 'requests.assignment', id, 'failed')
  expect((await dataOf(store(), 'request.cancelled')).filter(({ request_id }) => request_id === id)).toHaveLength(1)
})

it('a notification is tried three times on a channel that does not answer, and then has failed', async () => {
  await store().query("update requests.channels set is_up = false where channel = 'sms'")
  const notification_id = randomUUID()
  const send = { notification_id, user_id: 1, channel: 'sms', template: 'x', about: 'y' }
  await say('notification.send', notification_id, send)
  const failed = await until(async () => (await dataOf(store(), 'notification.failed'))[0], { withinMs })
  expect(failed).toMatchObject({ notification_id, attempts: 3, reason: 'the channel does not answer' })
  const { rows } = await store().query(`select from evt.dead_letters where handler = 'requests.notifications'`)
  expect(rows).toEqual([])
})
