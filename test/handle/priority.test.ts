import { expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../../src/bridge.ts'
import type { Priority } from '../../src/core/event.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import type { Store } from '../../src/store/connection.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { until } from '../setup/until.ts'

const backlog = 300
const urgent = 40

const handlerOf = (name: string, priority: Priority, before: () => Promise<void> = async () => {}) =>
  defineHandler({
    name: `test.${name}`,
    on: [`${name}.*`],
    start: 'earliest',
    priority,
    concurrency: 4,
    transaction: 'event',
    async handle(event, ctx) {
      await before()
      await ctx.sql`insert into effects (handler, id) values (${name}, ${event.id})`
    },
  })

const publish = (store: Store, name: string, count: number) =>
  store.query(`select evt.publish($1 || '.done', '{}', $1 || '/' || n) from generate_series(1, $2::int) n`, [
    name,
    count,
  ])

describeServers('handlers of one process that fight for a connection', (server) => {
  it('a critical one overtakes a low one that has a backlog, and the low one is not starved', async () => {
    const { store, url } = await createTestDatabase({ server })
    await store.query('create table effects (n bigint generated always as identity, handler text, id text)')
    // The backlog stands still, and holds the connection, until the alarms wait for it.
    const alarmed = Promise.withResolvers<void>()
    let bulk = 0
    const standStill = async () => {
      bulk += 1
      if (bulk > 10) await alarmed.promise
    }
    const bridge = createBridge({
      store: url,
      handlers: [handlerOf('bulk', 'low', standStill), handlerOf('alarm', 'critical')],
      registry: createRegistry([]),
      connections: 1,
    })
    onTestFinished(() => bridge.stop())
    await publish(store, 'bulk', backlog)
    await bridge.start()
    const count = async (name: string) =>
      Number((await store.query('select count(*) as n from effects where handler = $1', [name])).rows[0]?.n)
    await until(async () => (await count('bulk')) >= 10)
    await publish(store, 'alarm', urgent)
    await until(() => (bridge.stats().handlers.find(({ handler }) => handler === 'test.alarm')?.inFlight ?? 0) > 0)
    alarmed.resolve()
    await until(async () => (await count('alarm')) === urgent, { withinMs: 15_000 })
    await until(async () => (await count('bulk')) === backlog, { withinMs: 15_000 })

    const { rows } = await store.query('select handler from effects order by n')
    const order = rows.map(({ handler }) => String(handler))
    const first = order.indexOf('alarm')
    const last = order.lastIndexOf('alarm')
    const meanwhile = order.slice(first, last).filter((handler) => handler === 'bulk').length
    expect(order.length - 1 - last, 'the backlog was over before the alarms came').toBeGreaterThan(0)
    // In the order of asking it is one for one; the gate gives a critical class eight of nine.
    expect(meanwhile).toBeLessThan(urgent / 2)
    expect(meanwhile, 'nothing low ran for as long').toBeGreaterThan(0)
  })
})
