import { expect, it, onTestFinished } from 'vitest'
import { createBridge, createPublisher } from '../../../src/index.ts'
import { validation } from '../../../src/services/validation/service.ts'
import { createTestDatabase } from '../../setup/database.ts'
import { until } from '../../setup/until.ts'
import { customer, invoice, registry, submission } from './validation-database.ts'

it('a bridge validates what is submitted, in the order of each record, traced and audited, and raises its alerts', async () => {
  const { store } = await createTestDatabase()
  const bridge = createBridge({ store, services: [validation], monitoringInterval: '50ms' })
  onTestFinished(() => bridge.stop())
  await bridge.start()
  const publisher = createPublisher({ store, registry, source: 'test' })
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const all = [
    submission('customer', customer('c-1'), { id: 's-0', traceparent }),
    ...[1, 2, 3].map((total) => submission('invoice', invoice('i-1', { totalCents: total }), { id: `s-${total}` })),
    submission('invoice', 'broken', { id: 's-4' }),
  ]
  for (const event of all) await publisher.send(event)
  const rows = async (text: string) => (await store.query(text)).rows
  await until(async () => (await rows(`select from validation.runs where status <> 'started'`)).length === 5, {
    withinMs: 20_000,
  })
  expect(await rows('select status, count(*)::int as n from validation.runs group by 1 order by 1')).toEqual([
    { status: 'completed', n: 1 },
    { status: 'failed', n: 4 },
  ])
  // Each of them is caused by its submission, and has its trace.
  const caused = await rows(
    `select distinct causation_id, correlation_id from validation.audit where causation_id is not null order by 1`,
  )
  expect(caused).toEqual([0, 1, 2, 3, 4].map((n) => ({ causation_id: `s-${n}`, correlation_id: `s-${n}` })))
  await until(
    async () =>
      (await rows(`select from validation.samples where trace like '00-0af7651916cd43dd8448eb211c80319c-%'`)).length ===
      5,
    {
      withinMs: 20_000,
    },
  )
  await until(async () => (await rows(`select from evt.outbox where type = 'alert.raised'`)).length > 0, {
    withinMs: 20_000,
  })
  expect(await rows(`select alert, key, state from evt.alerts where alert like 'validation%'`)).toEqual([
    { alert: 'validation-stubborn-record', key: 'record/i-1', state: 'firing' },
  ])
  expect(await rows('select from evt.dead_letters')).toEqual([])
})
