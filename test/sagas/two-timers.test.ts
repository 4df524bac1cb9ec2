import { expect, it } from 'vitest'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { byId, jobs, loaded, registry } from './jobs.ts'
import { dataOf, historyOf, publish, sagaOf, startBridge } from './running.ts'

it('timers of two steps and of the whole saga that fire at once, each of them twice, end it once and undo once', async () => {
  const { store, url } = await createTestDatabase()
  const waits = { awaits: loaded, correlate: byId, timeout: '1h' }
  const saga = jobs({
    timeout: '1h',
    steps: ({ step, parallel }) => [
      step('begin', { run() {}, compensate: ({ id }, ctx) => ctx.publish({ type: 'job.checked', data: { id } }) }),
      parallel([step('one', waits), step('other', waits)]),
    ],
  })
  await startBridge(url, { registry, sagas: [saga] })
  await startBridge(url, { registry, sagas: [saga], roles: ['handlers'] })
  const keys = Array.from({ length: 12 }, (_, n) => `k${n}`)
  for (const id of keys) await publish(store, 'job.started', { id })
  const count = async (from: string) => Number((await store.query(`select count(*) as n from ${from}`)).rows[0]?.n)
  await until(async () => (await count('evt.timers')) === 3 * keys.length, { withinMs: 20_000 })
  // Each once without being taken away, as if two had found it due.
  await store.query(`select evt.publish('saga.due.jobs.import', json_build_object('saga', s.id::text, 'key', s.key, 'step', t.step,
    'kind', t.kind, 'due', t.token), 'saga/jobs.import/' || s.key) from evt.timers t join evt.sagas s on s.id = t.saga_id order by random()`)
  await store.query('update evt.timers set due_at = clock_timestamp()')
  const due = `evt.outbox o where o.type = 'saga.due.jobs.import'`
  const untaken = `${due} and not exists (select from evt.inbox i where i.event_id = o.id)`
  await until(async () => (await count('evt.timers')) === 0 && (await count(untaken)) === 0, { withinMs: 20_000 })
  expect(await count(due)).toBeGreaterThanOrEqual(3 * keys.length)
  expect(await count(`evt.sagas where status = 'failed'`)).toBe(keys.length)
  for (const type of ['job.failed', 'job.checked'])
    expect((await dataOf(store, type)).map(({ id }) => id).sort()).toEqual([...keys].sort())
  for (const key of keys) {
    const history = await historyOf(store, (await sagaOf(store, 'jobs.import', key))?.id ?? '')
    expect(history.filter((what) => what.startsWith('timed-out'))).toHaveLength(1)
  }
})
