import { expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../../src/bridge.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

/** The long form: `EVT_TEST_BULK=1000000 vitest run test/handle/bulk.test.ts`, about a minute. */
const bulk = Number(process.env.EVT_TEST_BULK ?? 400)
const bodyBytes = 2_000
const withinMs = 20_000 + bulk

it('one transaction of very many events of a subject does not keep the others waiting', {
  timeout: withinMs + 60_000,
}, async () => {
  const { store, url } = await createTestDatabase()
  let handled = 0
  let others = 0
  // Some may share a lane with it, but not half of them.
  const enough = Promise.withResolvers<void>()
  const handler = defineHandler({
    name: 'test.bulk',
    on: ['thing.*'],
    start: 'earliest',
    transaction: 'none',
    async handle(event) {
      if (event.subject === 'bulk') await enough.promise
      else if (++others === 5) enough.resolve()
      handled += 1
    },
  })
  const bridge = createBridge({ store: url, handlers: [handler], registry: createRegistry([]) })
  onTestFinished(() => bridge.stop())
  await store.query(
    `insert into evt.outbox (id, type, source, subject, data)
       select 'bulk-' || n, 'thing.done', 'test', 'bulk', to_json(repeat(md5(n::text), $2::int / 32)) from generate_series(1, $1::int) n`,
    [bulk, bodyBytes],
  )
  await store.query(
    `select evt.publish('thing.done', '{}', 'other-' || n, id => 'other-' || n) from generate_series(1, 10) n`,
  )
  await bridge.start()
  await until(() => handled === bulk + 10, { withinMs })
  expect(others).toBe(10)
})
