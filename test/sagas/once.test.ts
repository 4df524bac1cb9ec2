import { expect, it } from 'vitest'
import { forgetSagas } from '../../src/store/timers.ts'
import { createTestDatabase } from '../setup/database.ts'
import { byId, jobs, loaded, registry } from './jobs.ts'
import { dataOf, publish, sagaOf, startBridge, untilSaga } from './running.ts'

it('a key that has its saga once has it once also when nothing else is known of it any more', async () => {
  const { store, url } = await createTestDatabase()
  const steps: Parameters<typeof jobs>[0]['steps'] = ({ step }) => [step('load', { awaits: loaded, correlate: byId })]
  const sagas = [jobs({ steps, perKey: 'once' }), jobs({ name: 'jobs.often', steps, onCompleted: () => {} })]
  const subject = 'in one order'
  const run = async (id: string) => {
    for (const type of ['job.started', 'job.loaded']) await publish(store, type, { id }, { subject })
  }
  await run('a')
  await startBridge(url, { registry, sagas })
  await untilSaga(store, 'jobs.import', 'a', 'completed')
  await untilSaga(store, 'jobs.often', 'a', 'completed')
  await forgetSagas(store, 0)
  expect(await sagaOf(store, 'jobs.import', 'a')).toBeUndefined()
  await run('a')
  await run('b')
  await untilSaga(store, 'jobs.import', 'b', 'completed')
  await untilSaga(store, 'jobs.often', 'b', 'completed')
  expect(await sagaOf(store, 'jobs.import', 'a')).toBeUndefined()
  expect(await dataOf(store, 'job.finished')).toEqual([{ id: 'a' }, { id: 'b' }])
  expect((await store.query('select from evt.saga_events')).rows).toEqual([])
  expect(await sagaOf(store, 'jobs.often', 'a')).toMatchObject({ status: 'completed' })
})
