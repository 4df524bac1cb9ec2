import { expect, it } from 'vitest'
import { defineSaga } from '../../src/index.ts'
import { createTestDatabase } from '../setup/database.ts'
import { byId, checked, loaded, registry, started, state } from './jobs.ts'
import { historyOf, publish, startBridge, untilSaga } from './running.ts'

it('a saga is undone wherever it stands when the event that cancels it comes', async () => {
  const { store, url } = await createTestDatabase()
  const saga = defineSaga({
    name: 'jobs.import',
    startsOn: started,
    correlate: byId,
    state,
    start: 'earliest',
    cancelledBy: { event: checked, correlate: byId },
    steps: ({ step }) => [
      step('first', { run() {}, compensate() {} }),
      step('wait', {
        run({ id }) {
          if (id === 'retrying') throw new Error('not yet')
        },
        retry: { initial: '1h', max: '1h' },
        awaits: loaded,
        correlate: byId,
        compensate() {},
      }),
    ],
  })
  const say = (type: string, id: string) => publish(store, type, { id }, { subject: id })
  await say('job.checked', 'early')
  for (const id of ['early', 'waiting', 'retrying', 'done']) await say('job.started', id)
  await say('job.loaded', 'done')
  await startBridge(url, { registry, sagas: [saga] })
  await untilSaga(store, 'jobs.import', 'done', 'completed')
  for (const id of ['waiting', 'retrying', 'done']) await say('job.checked', id)
  const histories: Record<string, readonly string[]> = {}
  for (const id of ['early', 'waiting', 'retrying']) {
    const failed = await untilSaga(store, 'jobs.import', id, 'failed')
    expect(failed.reason).toBe('it was cancelled by job.checked')
    histories[id] = await historyOf(store, failed.id)
  }
  expect(histories.early).toEqual(['started', 'cancelled', 'failing', 'failed'])
  const undone = ['cancelled', 'failing', 'compensated wait', 'compensated first', 'failed']
  expect(histories.waiting).toEqual(['started', 'ran first', 'ran wait', ...undone])
  expect(histories.retrying?.slice(-3)).toEqual(['failing', 'compensated first', 'failed'])
  // What has ended is not cancelled any more.
  await untilSaga(store, 'jobs.import', 'done', 'completed')
})
