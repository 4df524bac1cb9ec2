import { expect, onTestFinished, test } from 'vitest'
import { openStore, type Store } from '../../src/store/connection.ts'
import { enterInbox } from '../../src/store/inbox.ts'
import { acquireLease } from '../../src/store/lease.ts'
import { migrateUp } from '../../src/store/migrate.ts'
import { observeOutbox } from '../../src/store/observe.ts'
import { openStageReader, type StagedEvent } from '../../src/store/observe-stages.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { startPrivateServer } from '../setup/private-server.ts'
import { insertEvent, sequenceAll } from './sequencer-writers.ts'

describeServers('the stages of observed events', (server) => {
  async function observed(store: Store): Promise<readonly StagedEvent[]> {
    const signal = new AbortController().signal
    const seen: StagedEvent[] = []
    for await (const events of observeOutbox(store, { from: 'start', follow: false, signal })) {
      for (const { id, headers, position, sequencedMs, seq } of events)
        seen.push({ id, time: headers['ce-time'] as string, position, sequencedMs, seq })
    }
    return seen
  }
  async function reader(store: Store) {
    const stages = await openStageReader(store)
    onTestFinished(() => stages.close())
    return stages
  }
  async function leading(store: Store) {
    const lease = await acquireLease(store, 'test', 60_000)
    return () => sequenceAll(store, lease?.epoch ?? 0n)
  }
  /** What a handler's transaction does that has these events' effects. */
  async function handle(store: Store, handler: string, events: readonly StagedEvent[]) {
    await store.query('select evt.ensure_group($1, 1, 0)', [handler])
    const entries = events.map(({ id, time }) => ({ eventId: id, day: time.slice(0, 10) }))
    await store.transaction((sql) => enterInbox(sql, handler, entries))
  }
  const now = async (store: Store) =>
    Number((await store.query(`select date_part('epoch', clock_timestamp()) * 1000 as now`)).rows[0]?.now)

  test('are unknown as long as nothing was relayed and nothing handled', async () => {
    const { store } = await createTestDatabase({ server })
    const stages = await reader(store)
    await insertEvent(store.pool as never, 'a', 1)
    const events = await observed(store)
    const before = await now(store)
    const { stages: known, nowMs } = await stages.read(events)
    expect(known).toEqual([{ sequenced: undefined, handlers: [] }])
    expect(nowMs).toBeGreaterThanOrEqual(before - 1)
    expect(await stages.read([])).toEqual({ nowMs: expect.any(Number), stages: [] })
  })

  test('say when an event was sequenced, also when that came after it was read', async () => {
    const { store } = await createTestDatabase({ server })
    const sequence = await leading(store)
    await insertEvent(store.pool as never, 'a', 1)
    await sequence()
    const stages = await reader(store)
    await insertEvent(store.pool as never, 'a', 2)
    const events = await observed(store)
    expect(events.map(({ position }) => position)).toEqual([1n, undefined])
    expect((await stages.read(events)).stages[1]?.sequenced).toBeUndefined()
    await sequence()
    const { stages: known, nowMs } = await stages.read(events)
    expect(known.map(({ sequenced }) => sequenced?.position)).toEqual([1n, 2n])
    for (const { sequenced } of known) expect(Math.abs(nowMs - (sequenced?.atMs ?? 0))).toBeLessThan(60_000)
    expect((await stages.read(events)).stages, 'asked again').toEqual(known)
  })

  test('say when each handler began, in that order, and nothing of the commit where the server does not keep it', async () => {
    const { store } = await createTestDatabase({ server })
    const stages = await reader(store)
    const sequence = await leading(store)
    for (const n of [1, 2]) await insertEvent(store.pool as never, 'a', n)
    await sequence()
    const events = await observed(store)
    await handle(store, 'second', events.slice(0, 1))
    await handle(store, 'afterwards', events)
    const { stages: known } = await stages.read(events)
    expect(known.map(({ handlers }) => handlers.map(({ handler }) => handler))).toEqual([
      ['second', 'afterwards'],
      ['afterwards'],
    ])
    expect(stages.knowsCommits).toBe(false)
    const [first] = known[0]?.handlers ?? []
    expect(first).toEqual({ handler: 'second', begunMs: expect.any(Number), committedMs: undefined })
    expect(first?.begunMs).toBeGreaterThanOrEqual(known[0]?.sequenced?.atMs as number)
  })

  test('say when each handler committed where the server keeps it', async () => {
    const place = await startPrivateServer({ version: server, settings: ['track_commit_timestamp=on'] })
    onTestFinished(() => place.stop())
    const store = await openStore(place.url, { applicationName: 'evt test' })
    onTestFinished(() => store.close())
    await migrateUp(store)
    await insertEvent(store.pool as never, 'a', 1)
    const stages = await reader(store)
    const events = await observed(store)
    await handle(store, 'only', events)
    const { stages: known, nowMs } = await stages.read(events)
    const [only] = known[0]?.handlers ?? []
    expect(stages.knowsCommits).toBe(true)
    expect(only?.committedMs).toBeGreaterThanOrEqual(only?.begunMs as number)
    expect(only?.committedMs).toBeLessThanOrEqual(nowMs)
  })
})
