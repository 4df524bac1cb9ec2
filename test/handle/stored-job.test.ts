import { expect, it } from 'vitest'
import { EvtError } from '../../src/core/errors.ts'
import type { HandlerRuntime } from '../../src/handle/handler-runtime.ts'
import { createOwnedLane } from '../../src/handle/item.ts'
import { createPace } from '../../src/handle/pace.ts'
import { workOffJob } from '../../src/handle/stored-job.ts'
import { createRecorder } from '../../src/watch/recorder.ts'
import { createTestDatabase } from '../setup/database.ts'
import { silent } from './running.ts'

it('a retry whose event could not be read is no attempt', async () => {
  const { store } = await createTestDatabase()
  await store.query(
    `insert into evt.deliveries (handler, lane, subject, event_id, type, topic, at, position, attempts, next_at)
     values ('test.job', 'log/0', null, 'e', 'thing.done', 'log', '1', 1, 1, now())`,
  )
  let looks = 0
  const runtime = {
    config: { name: 'test.job', attempts: 3, transaction: 'batch' },
    store,
    transport: {},
    instance: 'me',
    pace: createPace({ widest: 1, timeoutMs: 30_000, transactions: 'shared' }),
    log: silent,
    meter: createRecorder().handler({ handler: 'test.job', group: 'test', priority: 'normal', concurrency: 1 }),
    async storeIsBack() {
      looks += 1
    },
  } as unknown as HandlerRuntime
  const [row] = (await store.query('select id from evt.deliveries')).rows
  const readLogged = () => Promise.reject(new EvtError('connect', 'cannot reach the log'))
  const owned = createOwnedLane({ id: 'log/0' } as never)
  for (let n = 0; n < 3; n++)
    await workOffJob(runtime, { id: String(row?.id) }, { owned, place: new Set(), readLogged })
  expect(looks).toBe(3)
  expect((await store.query('select attempts, errors, started_at, instance from evt.deliveries')).rows).toEqual([
    { attempts: 1, errors: [], started_at: null, instance: null },
  ])
})
