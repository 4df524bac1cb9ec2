import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../../src/bridge.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler } from '../../src/index.ts'
import { openStore } from '../../src/store/connection.ts'
import { acquireLease, releaseLease } from '../../src/store/lease.ts'
import { migrateUp } from '../../src/store/migrate.ts'
import { startPrivateServer } from '../setup/private-server.ts'
import { canStart } from '../setup/shared-servers.ts'
import { until } from '../setup/until.ts'

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  onTestFinished(() => client.end())
  return client
}

/** Somebody listens, and sleeps in a transaction; nobody can notify any more. */
async function fillQueue(url: string): Promise<void> {
  const sleeper = await connect(url)
  await sleeper.query('listen stuck')
  await sleeper.query('begin')
  await sleeper.query('select 1')
  const notifier = await connect(url)
  const notify = () => notifier.query(`select pg_notify('stuck', repeat('x', 7900) || random())`)
  await expect(
    (async () => {
      for (let n = 0; n < 1000; n++) await notify()
    })(),
  ).rejects.toThrow('too many notifications')
}

// A12; before 17 the queue has 8 GB whatever one asks for.
it.skipIf(!canStart('postgres-18'))(
  'a full notification queue fails no writer and stops no event, and the lease is given back',
  async () => {
    const server = await startPrivateServer({
      version: 18,
      settings: ['max_notify_queue_pages=64', 'max_prepared_transactions=0'],
    })
    onTestFinished(() => server.stop())
    await migrateUp(server.url)
    const store = await openStore(server.url, { applicationName: 'evt test' })
    onTestFinished(() => store.close())
    const handled: string[] = []
    const errors: string[] = []
    const handler = defineHandler({
      name: 'test.all',
      on: ['*'],
      start: 'earliest',
      handle: async (event) => void handled.push(event.id),
    })
    const bridge = createBridge({
      store: server.url,
      handlers: [handler],
      registry: createRegistry([]),
      log: {
        debug() {},
        info() {},
        warn: (_, fields) => void errors.push(JSON.stringify(fields)),
        error: (_, fields) => void errors.push(JSON.stringify(fields)),
      },
    })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    await store.query(`select evt.publish('user.created', '{}', id => 'before')`)
    await until(() => handled.includes('before'))
    await fillQueue(server.url)
    // The relay is parked: writers would notify.
    await until(async () => (await store.query('select last_value::int as mark from evt.parked')).rows[0]?.mark === 2)
    const ids = Array.from({ length: 50 }, (_, n) => `full-${n}`)
    for (const id of ids) await store.query(`select evt.publish('user.created', '{}', 'user/1', id => $1)`, [id])
    await until(() => handled.length === 51, { withinMs: 15_000 })
    expect(handled).toEqual(['before', ...ids])
    expect(errors).toEqual([])
    await bridge.stop()
    const lease = await until(() => acquireLease(store, 'next', 60_000))
    await releaseLease(store, lease)
    expect(await acquireLease(store, 'another', 60_000)).toBeDefined()
  },
  60_000,
)
