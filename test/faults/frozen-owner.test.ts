import { expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../../src/bridge.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler } from '../../src/index.ts'
import type { Store } from '../../src/store/connection.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { startProcess } from './processes.ts'
import { createFaultTables } from './schema.ts'

async function startSuccessor(url: string): Promise<void> {
  const handler = defineHandler({
    name: 'faults.frozen',
    on: ['fault.*'],
    start: 'earliest',
    timeout: '5m',
    async handle(event, ctx) {
      await ctx.sql`insert into faults.effects (handler, event_id, subject, sequence, instance, attempt)
        values ('faults.frozen', ${event.id}, ${event.subject}, 0, 'successor', ${ctx.attempt})`
    },
  })
  const bridge = createBridge({
    store: url,
    handlers: [handler],
    registry: createRegistry([]),
    instance: 'successor',
    roles: ['handlers'],
  })
  onTestFinished(() => bridge.stop())
  await bridge.start()
}

async function startRelay(url: string): Promise<void> {
  const relay = createBridge({ store: url, roles: ['relay'] })
  onTestFinished(() => relay.stop())
  await relay.start()
}

const effects = async (store: Store) =>
  (await store.query('select subject, instance from faults.effects order by id')).rows

describeServers('a process that freezes in the middle of a transaction of a handler', (server) => {
  it('holds its subject up for seconds, not for the time that the handler has, and commits nothing when it goes on', async () => {
    const { url, store } = await createTestDatabase({ server })
    await createFaultTables(store, 1)
    await store.query(`select evt.publish('fault.frozen', '{}', 'a')`)
    // Longer than what PostgreSQL keeps of an application's name, and with characters that it does not keep as they are.
    const name = `gefrörener-${'x'.repeat(60)}`
    const frozen = startProcess('frozen-process.ts', [url, name])
    onTestFinished(() => frozen.end('SIGCONT').then(() => frozen.end('SIGKILL')))
    await startRelay(url)
    await frozen.ready
    await frozen.end('SIGSTOP')
    const since = performance.now()
    await startSuccessor(url)
    await until(async () => (await effects(store)).length > 0, { withinMs: 20_000 })
    expect(performance.now() - since).toBeLessThan(12_000)
    await frozen.end('SIGCONT')
    // It goes on where it was, and takes part again.
    await until(async () => (await store.query('select from evt.members')).rows.length === 2, { withinMs: 10_000 })
    await store.query(`select evt.publish('fault.frozen', '{}', 'b')`)
    await until(async () => (await effects(store)).length === 2, { withinMs: 10_000 })
    expect((await effects(store)).map(({ subject }) => subject)).toEqual(['a', 'b'])
    expect((await effects(store))[0]).toEqual({ subject: 'a', instance: 'successor' })
  }, 60_000)
})
