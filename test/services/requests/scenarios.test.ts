import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Bridge } from '../../../src/index.ts'
import { requests } from '../../../src/services/requests/service.ts'
import { runHere } from '../../commands/evt.ts'
import { startBridge } from '../../sagas/running.ts'
import { createTestDatabase, type TestDatabase } from '../../setup/database.ts'
import { until } from '../../setup/until.ts'

let database: TestDatabase
let bridge: Bridge
const rows = async (text: string) => (await database.store.query(text)).rows
beforeAll(async () => {
  database = await createTestDatabase({ max: 20 })
  bridge = await startBridge(database.url, { services: [requests] })
})
afterAll(async () => {
  await bridge?.stop()
  await database?.[Symbol.asyncDispose]()
})

it.each([
  ['request-lifecycle', `select from requests.requests where status in ('completed', 'cancelled')`],
  ['shift-day', `select from requests.shifts where status = 'assigned'`],
  ['incident', `select from requests.errors where error_type = 'ChannelDown'`],
])('the scenario %s comes to what it says, without a dead letter', async (scenario, ended) => {
  const { exit, stderr } = await runHere(['gen', `scenario:${scenario}`, '--count', '4', '--seed', '3', '--yes'], {
    store: database.url,
    env: { EVT_SERVICES: 'requests' },
    cwd: '/',
  })
  expect(exit, stderr).toBe(0)
  await until(async () => (await rows(ended)).length >= 4, { withinMs: 20_000 })
  expect(await rows('select handler, error_message from evt.dead_letters')).toEqual([])
})
