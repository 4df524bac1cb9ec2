import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { createPublisher, createRegistry } from '../../src/index.ts'
import { commerce } from '../../src/services/commerce/service.ts'
import { platform } from '../../src/services/platform/service.ts'
import { requests } from '../../src/services/requests/service.ts'
import { startBridge, untilSaga } from '../sagas/running.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

const services = [commerce, platform, requests]

it('a checkout and an assignment go on where their killed bridge was, and nothing of them happens twice', async () => {
  const { store, url } = await createTestDatabase()
  const registry = createRegistry([...new Set(services.flatMap(({ contracts }) => contracts))])
  const publisher = createPublisher({ store, registry, source: 'shop' })
  onTestFinished(() => publisher.close())
  const say = async (type: string, subject: string, data: object) =>
    expect(await publisher.send({ type, subject, data })).toMatchObject({ state: 'stored' })
  const rows = async (text: string, ...values: unknown[]) => (await store.query(text, values)).rows
  const eventsOf = (field: string, id: string) =>
    rows(`select type, data from evt.outbox where data ->> '${field}' = $1 order by seq`, id)
  const untilSaid = (type: string, field: string, id: string) =>
    until(async () => (await eventsOf(field, id)).find((one) => one.type === type)?.data, {
      withinMs: 20_000,
      what: type,
    })

  const script = join(import.meta.dirname, 'killed-process.ts')
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')

  const [tenant_id, product_id, location_id] = [randomUUID(), randomUUID(), randomUUID()]
  const [order_id, request_id] = [randomUUID(), randomUUID()]
  const stock = { product_id, tenant_id, location_id, delta: 4, reason: 'delivery' }
  await say('inventory.adjusted', `product/${product_id}`, stock)
  const executor = { user_id: 1, first_name: 'Ada', full_name: 'Ada', role: 'executor', specializations: ['heating'] }
  await say('requests.user.created', 'user/1', executor)
  const isReady = 'select from commerce.stock, requests.users'
  await until(async () => (await rows(isReady)).length > 0, { withinMs: 20_000 })
  await say('order.created', `order/${order_id}`, {
    ...{ order_id, tenant_id, customer_id: null, location_id, total: '37.50', currency: 'EUR' },
    items: [{ product_id, sku: 'a-1', quantity: 3, unit_price: '12.50' }],
  })
  await say('request.created', `request/${request_id}`, {
    ...{ request_id, user_id: 9, category: 'heating', urgency: 'high', description: 'cold', address: 'Road 1' },
    dispatch: 'automatic',
  })
  const [payment, offer] = await Promise.all([
    untilSaid('payment.requested', 'order_id', order_id),
    untilSaid('assignment.created', 'request_id', request_id),
  ])
  child.kill('SIGKILL')
  await once(child, 'exit')

  await say('payment.authorised', `payment/${order_id}`, payment)
  const assignment = `assignment/${String((offer as { assignment_id?: string }).assignment_id)}`
  await say('assignment.accepted', assignment, offer)
  await startBridge(url, { services, instance: 'killed' })
  await untilSaid('request.assigned', 'request_id', request_id)
  await say('assignment.completed', assignment, offer)
  await untilSaga(store, 'commerce.checkout', order_id, 'completed')
  await untilSaga(store, 'requests.assignment', request_id, 'completed')
  const typesOf = async (field: string, id: string) => (await eventsOf(field, id)).map(({ type }) => type)
  expect(await typesOf('order_id', order_id)).toEqual([
    ...['order.created', 'inventory.reservation_requested', 'inventory.reserved'],
    ...['payment.requested', 'payment.authorised', 'order.confirmed'],
  ])
  expect(await typesOf('request_id', request_id)).toEqual([
    ...['request.created', 'assignment.created', 'assignment.accepted', 'request.assigned'],
    ...['assignment.completed', 'request.completed'],
  ])
  expect(await rows('select quantity from commerce.stock')).toEqual([{ quantity: 1 }])
  expect(await rows('select from evt.dead_letters')).toEqual([])
}, 60_000)
