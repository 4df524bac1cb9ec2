import { describe, expect, it } from 'vitest'
import { acquireLease } from '../../src/store/lease.ts'
import { tick } from '../../src/store/sequencer.ts'
import { createInstanceRegistry } from '../../src/watch/instances.ts'
import { readSnapshot } from '../../src/watch/read-snapshot.ts'
import { createRecorder } from '../../src/watch/recorder.ts'
import { windowBetween } from '../../src/watch/window.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { until } from '../setup/until.ts'

const times = { runUs: 1000, endToEndUs: 4000, relayUs: 1500, deliverUs: 500, queueUs: 200, handleUs: 1800 }

describeServers('readSnapshot', (server) => {
  it('counts what is committed and not sequenced, and forgets it once it is', async () => {
    const { store } = await createTestDatabase({ server })
    const lease = await acquireLease(store, 'test', 60_000)
    if (!lease) throw new Error('nobody else leads here')
    for (const nth of [1, 2, 3]) await store.query(`select evt.publish('user.created', '{}', $1)`, [`user/${nth}`])
    const before = await readSnapshot(store)
    expect(before.head).toMatchObject({ position: '0', outboxPending: 3 })
    expect(before.head.oldestPendingMs).toBeGreaterThan(0)
    expect(before.head.oldestPendingMs).toBeLessThan(60_000)
    await tick(store, lease.epoch, 100)
    expect((await readSnapshot(store)).head).toEqual({ position: '3', outboxPending: 0, oldestPendingMs: null })
  })

  it('shows what each bridge says, holds a silent one for dead, and forgets one that stopped in order', async () => {
    const { store } = await createTestDatabase({ server })
    const recorder = createRecorder()
    const meter = recorder.handler({ handler: 'mail.welcome', group: 'mail', priority: 'normal', concurrency: 4 })
    const registry = createInstanceRegistry({
      store,
      recorder,
      instance: 'a',
      roles: ['relay', 'handlers'],
      version: '0.1.0',
      onError: (error) => expect.fail(String(error)),
    })
    recorder.leading(true)
    await registry.start()
    const earlier = await readSnapshot(store)
    meter.taken(2)
    meter.started(2)
    for (const _ of [1, 2]) meter.handled(times)
    meter.finished(2)
    meter.failed('boom')
    recorder.sequenced(2)
    const later = await until(
      async () => {
        const snapshot = await readSnapshot(store)
        return snapshot.instances[0]?.sequenced === 2 ? snapshot : undefined
      },
      { withinMs: 10_000 },
    )
    const [handler] = windowBetween(earlier, later).handlers
    expect(handler).toMatchObject({ handler: 'mail.welcome', handled: 2, failed: 1, inFlight: 0, lastError: 'boom' })
    expect(handler?.endToEnd.percentile(0.5)).toBeCloseTo(4000, -2)
    expect(windowBetween(earlier, later).sequenced).toBe(2)
    await store.query(`update evt.instances set beat_at = beat_at - interval '1 minute'`)
    expect((await readSnapshot(store)).instances).toMatchObject([{ alive: false, leader: false }])
    await registry.stop()
    expect((await readSnapshot(store)).instances).toEqual([])
  })

  it('lets nobody lead whose lease has run out, or is another one’s', async () => {
    const { store } = await createTestDatabase({ server })
    await store.query(`insert into evt.instances (instance, host, pid, version, roles, leader, started_at, sample)
      values ('a', 'here', 1, '0', '{relay}', true, now(), '{"handlers": []}')`)
    const leads = async () => (await readSnapshot(store)).instances[0]?.leader
    expect(await leads()).toBe(false)
    await acquireLease(store, 'a', 60_000)
    expect(await leads()).toBe(true)
    await store.query(`update evt.relay set lease_until = clock_timestamp() - interval '1 ms'`)
    expect(await leads()).toBe(false)
    await acquireLease(store, 'b', 60_000)
    expect(await leads()).toBe(false)
  })

  it('tells how far each group is behind, leaving out what is under way', async () => {
    const { store } = await createTestDatabase({ server })
    const lease = await acquireLease(store, 'test', 60_000)
    if (!lease) throw new Error('nobody else leads here')
    await store.query(`select evt.ensure_group('mail.welcome', 4, 0)`)
    for (let nth = 0; nth < 20; nth++)
      await store.query(`select evt.publish('user.created', '{}', $1)`, [`user/${nth}`])
    await tick(store, lease.epoch, 100)
    expect((await readSnapshot(store)).backlog).toMatchObject([
      { handler: 'mail.welcome', lagEvents: 0, oldestAgeMs: null },
    ])
    // As if the last tick had been a while ago.
    await store.query(`update evt.ticks set at = at - interval '1 minute'`)
    const [behind] = (await readSnapshot(store)).backlog
    expect(behind).toMatchObject({ lagEvents: 20, retrying: 0, parkedSubjects: 0 })
    expect(behind?.oldestAgeMs).toBeGreaterThan(0)
  })
})

describe('the recorder', () => {
  it('keeps queued and in flight apart', () => {
    const recorder = createRecorder()
    const meter = recorder.handler({ handler: 'h', group: 'g', priority: 'high', concurrency: 1 })
    meter.taken(10)
    meter.started(4)
    meter.finished(1)
    meter.returned(2)
    expect(recorder.sample().handlers[0]).toMatchObject({ queued: 4, inFlight: 3 })
  })
})
