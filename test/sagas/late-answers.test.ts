import { expect, it } from 'vitest'
import { createTestDatabase } from '../setup/database.ts'
import { byId, jobs, loaded, registry } from './jobs.ts'
import { historyOf, publish, startBridge, untilSaga } from './running.ts'

it('a step that has its answer and tries again to take it does not time out; who is still missing then does', async () => {
  const { store, url } = await createTestDatabase()
  const retry = { attempts: 20, backoff: 'fixed', initial: '300ms', max: '300ms' } as const
  const takes = (_own: unknown, _event: unknown, ctx: { readonly attempt: number }) => {
    if (ctx.attempt < 3) throw new Error('not yet')
  }
  const alone = jobs({
    steps: ({ step }) => [step('wait', { awaits: loaded, correlate: byId, timeout: '20ms', retry, on: takes })],
  })
  const crowd = jobs({
    name: 'jobs.crowd',
    steps: ({ step }) => [
      step('wait', {
        ...{ awaits: loaded, correlate: byId, timeout: '20ms', retry, on: takes },
        from: () => ['one', 'other'],
        sender: () => 'one',
      }),
    ],
  })
  const keys = ['a', 'b', 'c']
  for (const id of keys)
    for (const type of ['job.loaded', 'job.started']) await publish(store, type, { id }, { subject: id })
  await startBridge(url, { registry, sagas: [alone, crowd] })
  for (const id of keys) {
    const { id: saga } = await untilSaga(store, 'jobs.import', id, 'completed')
    expect(await historyOf(store, saga)).not.toContain('timed-out wait')
    const { reason } = await untilSaga(store, 'jobs.crowd', id, 'failed')
    expect(reason).toBe('step wait timed out: no job.loaded from other within 20ms')
  }
  // It waits for its time, and does not ask again and again whether it has come.
  const { rows } = await store.query("select count(*)::int as n from evt.outbox where type = 'saga.due.jobs.import'")
  expect(rows[0]?.n).toBeLessThanOrEqual(10 * keys.length)
})
