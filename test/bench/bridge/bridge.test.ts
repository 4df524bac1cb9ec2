import { describe, expect, onTestFinished, test } from 'vitest'
import type { HandlerKind } from '../../../src/bench/bridge/handler-kind.ts'
import { newRunName, scratchNames } from '../../../src/bench/bridge/names.ts'
import { openScratch } from '../../../src/bench/bridge/scratch.ts'
import { createBridgeTarget } from '../../../src/bench/bridge/target.ts'
import { runBench } from '../../../src/bench/run.ts'
import { constantRate } from '../../../src/core/rate.ts'
import { openStore, type Store } from '../../../src/store/connection.ts'
import { migrateUp } from '../../../src/store/migrate.ts'
import { openTransport } from '../../../src/transports/registry.ts'
import { createTestDatabase } from '../../setup/database.ts'
import { startPrivateServer } from '../../setup/private-server.ts'
import { startRelay } from '../evt-bench.ts'
import { optionsOf, planOf } from '../fake/plan.ts'

async function targetOn(store: Store, kinds: readonly HandlerKind[], run: string) {
  const transport = await openTransport(store.connectionString)
  return createBridgeTarget({ store, transport, run, kinds, version: '0.0.0', storeLabel: 'test', warn: () => {} })
}

async function leftovers(store: Store): Promise<Record<string, number>> {
  const { rows } = await store.query(`select
    (select count(*)::int from pg_namespace where nspname like 'evt\\_bench\\_%') as schemas,
    (select count(*)::int from evt.groups where name like 'bench.%') as groups,
    (select count(*)::int from evt.inbox where handler like 'bench.%') as inbox`)
  return rows[0] as Record<string, number>
}

describe('a run on the bridge', () => {
  test('accounts for every event, measures every hop and leaves nothing but its events', async () => {
    const { store } = await createTestDatabase()
    await startRelay(store)
    const run = newRunName()
    const plan = planOf({ run, shape: constantRate(300), warmupMs: 200, durationMs: 1_000, keys: 50 })
    const target = await targetOn(store, [{ kind: 'effect' }, { kind: 'noop' }], run)
    const result = await runBench(optionsOf({ plan }), target)
    expect(result.ledger).toMatchObject({
      scheduled: 360,
      sent: 360,
      accepted: 360,
      subscribers: 2,
      handled: 720,
      lost: 0,
      stillOpen: 0,
      duplicates: 0,
      reordered: 0,
      balanced: true,
    })
    expect(result.target).toBe('bridge on test, the relay that runs')
    const measured = Object.fromEntries(
      result.latencies.map(({ metric, handler, samples }) => [handler ? `${metric} ${handler}` : metric, samples]),
    )
    expect(measured).toEqual({
      send_lag: 300,
      commit: 300,
      accept: 300,
      relay: 300,
      'deliver effect': 300,
      'handle effect': 300,
      'e2e effect': 300,
      'deliver noop': 300,
      'handle noop': 300,
      'e2e noop': 300,
      'e2e.all': 300,
      'e2e.first': 300,
    })
    expect(await leftovers(store)).toEqual({ schemas: 0, groups: 0, inbox: 0 })
  })

  test('finds effects that are doubled or out of order in the effects themselves', async () => {
    const { store } = await createTestDatabase()
    await startRelay(store)
    const run = newRunName()
    const plan = planOf({ run, shape: constantRate(200), warmupMs: 0, durationMs: 500, keys: 2 })
    const target = await targetOn(store, [{ kind: 'effect' }], run)
    const spoiled = {
      ...target,
      async evidence() {
        await store.query(
          `insert into ${scratchNames(run).schema}.effects (handler, key, k) values (0, 0, 5), (0, 1, 7)`,
        )
        await store.query(
          `insert into ${scratchNames(run).schema}.effects (handler, key, k) values (0, 9, 2), (0, 9, 1)`,
        )
        return target.evidence()
      },
    }
    const result = await runBench(optionsOf({ plan }), spoiled)
    expect(result.ledger).toMatchObject({ lost: 0, duplicates: 4, reordered: 0 })
    expect(result.outcome).toBe('broken')
  })

  test('that ends as its store goes away still gives what it knows', async () => {
    const server = await startPrivateServer({ version: 18 })
    onTestFinished(() => server.stop())
    await migrateUp(server.url)
    const store = await openStore(server.url, { applicationName: 'evt test' })
    onTestFinished(() => store.close())
    const run = newRunName()
    const target = await targetOn(store, [{ kind: 'effect' }], run)
    const dying = {
      ...target,
      async evidence() {
        await server.kill('SIGKILL')
        return target.evidence()
      },
    }
    const plan = planOf({ run, shape: constantRate(100), warmupMs: 0, durationMs: 300 })
    const result = await runBench(optionsOf({ plan }), dying)
    expect(result).toMatchObject({ outcome: 'gone', ledger: { accepted: 30, handled: 30, balanced: true } })
  }, 30_000)

  test('removes what a killed run left, and not what one that goes on uses', async () => {
    const { store } = await createTestDatabase()
    const [dead, alive, next] = [newRunName(), newRunName(), newRunName()]
    await store.query(`create schema ${scratchNames(dead).schema}`)
    await store.query('select evt.ensure_group($1, 16, 0)', [`bench.${dead}.effect`])
    const other = await openScratch(store, scratchNames(alive))
    const own = await openScratch(store, scratchNames(next))
    const { rows } = await store.query(
      "select nspname from pg_namespace where nspname like 'evt\\_bench\\_%' order by nspname",
    )
    expect(rows.map(({ nspname }) => nspname)).toEqual([alive, next].map((run) => scratchNames(run).schema).sort())
    await own.remove()
    await other.remove()
    expect(await leftovers(store)).toEqual({ schemas: 0, groups: 0, inbox: 0 })
  })
})
