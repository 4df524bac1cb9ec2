import { afterAll, beforeAll, expect, it } from 'vitest'
import { compilePattern } from '../../../src/core/pattern.ts'
import { compileWhere } from '../../../src/core/where.ts'
import { createScenarioGenerator } from '../../../src/generators/scenario/scenario-generator.ts'
import { type Bridge, createPublisher, createRegistry, type Publisher } from '../../../src/index.ts'
import { scenarios } from '../../../src/services/accounts/scenarios.ts'
import { accounts } from '../../../src/services/accounts/service.ts'
import { startBridge } from '../../sagas/running.ts'
import { createTestDatabase, type TestDatabase } from '../../setup/database.ts'
import { until } from '../../setup/until.ts'

const registry = createRegistry(accounts.contracts)
let database: TestDatabase
let bridge: Bridge
let publisher: Publisher
beforeAll(async () => {
  database = await createTestDatabase()
  bridge = await startBridge(database.url, { services: [accounts] })
  publisher = createPublisher({ store: database.store, registry, source: 'web' })
})
afterAll(async () => {
  await bridge.stop()
  await publisher.close()
  await database[Symbol.asyncDispose]()
})

async function comes(pattern: string, where = 'true'): Promise<void> {
  const [types, condition] = [compilePattern(pattern), compileWhere(where, { nowMs: Date.now() })]
  const log = async () => (await database.store.query('select type, data from evt.outbox')).rows
  const isIt = (event: Record<string, unknown>) => types.matches(String(event.type)) && condition.test(event)
  await until(async () => (await log()).some(isIt), { withinMs: 20_000, what: `${pattern} where ${where}` })
}

// Of a seed each: the same one would make the same people, whose names are taken.
it.each(scenarios.map((definition, seed) => [definition.scenario, definition, seed] as const))(
  'in %s, everything that is expected comes',
  async (_name, definition, seed) => {
    const scenario = { definition, place: definition.scenario }
    const generator = createScenarioGenerator({ registry, scenarios: [scenario], seed, nowMs: Date.now(), count: 3 })
    let expected = 0
    for (let item = generator.next(); item; item = generator.next()) {
      if ('event' in item) {
        await publisher.publishAll([item.event])
        continue
      }
      const { pattern, where } = item.expectation
      await comes(pattern, where)
      expected += 1
    }
    expect(expected).toBeGreaterThan(2)
  },
)
