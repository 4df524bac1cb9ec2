import { expect, it } from 'vitest'
import { readScheduled } from '../../src/store/scheduled.ts'
import { until } from '../setup/until.ts'
import { serve } from './served.ts'

it('an id that is held until its time is known: the same bytes are a duplicate, others are refused', async () => {
  const { post, store } = await serve()
  const deliverAt = new Date(Date.now() + 600_000).toISOString()
  const event = (name: string, more: object = {}) => ({
    id: 'd1',
    type: 'user.created',
    subject: 'user/1',
    data: { name },
    ...more,
  })
  const outcome = async (body: object) => (await post(body)).body.events?.[0] ?? (await post(body)).body
  expect(await outcome(event('Ada', { deliverAt }))).toMatchObject({ outcome: 'stored' })
  expect(await outcome(event('Ada', { deliverAt }))).toMatchObject({ outcome: 'duplicate' })
  const refused = {
    outcome: 'refused',
    code: 'conflict',
    reason: expect.stringContaining('an event of this id is there'),
  }
  expect(await outcome(event('Bob', { deliverAt }))).toMatchObject(refused)
  expect(await outcome(event('Cleo'))).toMatchObject(refused)
  expect(await readScheduled(store)).toMatchObject({ events: 1 })
  await store.query('update evt.scheduled set deliver_at = now()')
  // The bridge sleeps until the time it has read.
  await store.query('select evt.deliver_due(10)')
  const log = async () =>
    (await store.query("select data->>'name' as name from evt.log l join evt.outbox o using (seq)")).rows
  await until(async () => (await log()).length > 0)
  expect(await log()).toEqual([{ name: 'Ada' }])
  expect((await store.query('select from evt.refused')).rows).toHaveLength(0)
})
