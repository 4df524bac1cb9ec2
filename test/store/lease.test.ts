import { expect, onTestFinished, test } from 'vitest'
import { openStore } from '../../src/store/connection.ts'
import { acquireLease, readLease, releaseLease, renewLease } from '../../src/store/lease.ts'
import { createReplay, takeReplay } from '../../src/store/replays.ts'
import { tick } from '../../src/store/sequencer.ts'
import { holdTask } from '../../src/store/watch-tasks.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { insertEvent, sequenceAll } from './sequencer-writers.ts'

describeServers('the lease', (server) => {
  test('is held by one at a time, and goes on when it is given back', async () => {
    const { store } = await createTestDatabase({ server })
    const first = await acquireLease(store, 'a', 60_000)
    expect(first?.epoch).toBe(1n)
    expect(await acquireLease(store, 'b', 60_000)).toBeUndefined()
    expect(await acquireLease(store, 'a', 60_000), 'also not twice by the same name').toBeUndefined()
    expect((await readLease(store)).leader).toBe('a')
    if (first) await releaseLease(store, first)
    expect((await acquireLease(store, 'b', 60_000))?.epoch).toBe(2n)
  })

  test('of many that try at once, one wins', async () => {
    const { store } = await createTestDatabase({ server })
    const tries = await Promise.all(Array.from({ length: 8 }, (_, i) => acquireLease(store, `r${i}`, 60_000)))
    expect(tries.filter((lease) => lease !== undefined)).toHaveLength(1)
  })

  test('runs out, and what its former holder still tries is fenced', async () => {
    const { store } = await createTestDatabase({ server })
    const old = await acquireLease(store, 'old', 20)
    if (!old) throw new Error('no lease')
    await insertEvent(store.pool as never, 'a', 1)
    const young = await until(() => acquireLease(store, 'young', 60_000))
    await expect(tick(store, old.epoch, 100)).rejects.toMatchObject({ code: 'fenced' })
    expect(await renewLease(store, old, 60_000)).toBe(false)
    await releaseLease(store, old)
    expect((await readLease(store)).leader, 'a late release frees nothing').toBe('young')
    expect(await sequenceAll(store, young.epoch)).toBe(1)
  })

  test('does not run out while it is renewed', async () => {
    const { store } = await createTestDatabase({ server })
    const lease = await acquireLease(store, 'a', 50)
    if (!lease) throw new Error('no lease')
    expect(await renewLease(store, lease, 60_000)).toBe(true)
    expect((await readLease(store)).remainingMs).toBeGreaterThan(50_000)
    expect(await acquireLease(store, 'b', 60_000)).toBeUndefined()
  })

  test('of a dead leader ends although the server’s clock was put back; a living one keeps it', async () => {
    const { store } = await createTestDatabase({ server })
    const putBack = () => store.query(`update evt.relay set lease_until = lease_until + interval '2 hours'`)
    const living = await acquireLease(store, 'living', 60_000)
    if (!living) throw new Error('no lease')
    await putBack()
    expect(await acquireLease(store, 'b', 60_000), 'it is not taken at once').toBeUndefined()
    expect(await renewLease(store, living, 60_000)).toBe(true)
    expect((await readLease(store)).remainingMs).toBeLessThanOrEqual(60_000)
    await putBack()
    const next = await until(() => acquireLease(store, 'next', 20))
    expect(next.epoch).toBe(living.epoch + 1n)
    await expect(tick(store, living.epoch, 100)).rejects.toMatchObject({ code: 'fenced' })
  })

  test('of a dead bridge’s alerts, and of its replay, ends although the server’s clock was put back', async () => {
    const { store } = await createTestDatabase({ server })
    const hold = (holder: string) => holdTask(store, { task: 'alerts', holder, leaseMs: 20 })
    await hold('dead')
    await store.query(`update evt.watch_tasks set lease_until = lease_until + interval '2 hours'`)
    await until(() => hold('next'))

    const selection = { types: [], nowMs: Date.now() }
    const replay = { id: 'r', kind: 'target', target: 'memory://', handlers: [], selection } as const
    await createReplay(store, { ...replay, after: 0n, upto: 0n, matched: 0, by: 'test' })
    await takeReplay(store, 'r', 'dead')
    await store.query(`update evt.replays set lease_until = lease_until + interval '2 hours'`)
    expect(await takeReplay(store, 'r', 'next'), 'it is not taken at once').toBeUndefined()
    const { rows } = await store.query(
      `select from evt.replays where lease_until < clock_timestamp() + interval '1 minute'`,
    )
    expect(rows).toHaveLength(1)
  })

  test('ends, and can be had again, when the server’s clock was put forward', async () => {
    const { store } = await createTestDatabase({ server })
    const before = await acquireLease(store, 'before', 60_000)
    if (!before) throw new Error('no lease')
    await store.query(`update evt.relay set lease_until = lease_until - interval '2 hours'`)
    expect(await renewLease(store, before, 60_000), 'by the leader, if nobody was quicker').toBe(true)
    await store.query(`update evt.relay set lease_until = lease_until - interval '2 hours'`)
    expect((await acquireLease(store, 'after', 60_000))?.epoch).toBe(before.epoch + 1n)
    expect(await renewLease(store, before, 60_000)).toBe(false)
  })

  test('waits for the step of a former leader that is under way, and goes on after it', async () => {
    const { store } = await createTestDatabase({ server })
    const old = await acquireLease(store, 'old', 1)
    if (!old) throw new Error('no lease')
    await insertEvent(store.pool as never, 'a', 1)
    const stepping = await store.pool.connect()
    await stepping.query('begin')
    await stepping.query('select * from evt.tick($1, 100)', [String(old.epoch)])
    const taking = until(() => acquireLease(store, 'young', 60_000))
    await until(
      async () =>
        (await store.query(`select from pg_locks where not granted and locktype = 'transactionid'`)).rows.length,
    )
    await stepping.query('commit')
    stepping.release()
    const young = await taking
    await insertEvent(store.pool as never, 'a', 2)
    expect(await sequenceAll(store, young.epoch)).toBe(1)
    const { rows } = await store.query('select position::int from evt.log order by position')
    expect(rows.map((row) => row.position)).toEqual([1, 2])
  })

  for (const isolation of ['serializable', 'repeatable read']) {
    test(`is taken behind a former leader's step also where ${isolation} is the default`, async () => {
      const { store, url } = await createTestDatabase({ server })
      await store.query(
        `alter database ${new URL(url).pathname.slice(1)} set default_transaction_isolation = '${isolation}'`,
      )
      const strict = await openStore(url, { applicationName: 'evt test' })
      onTestFinished(() => strict.close())
      const old = await acquireLease(strict, 'old', 1)
      if (!old) throw new Error('no lease')
      await insertEvent(store.pool as never, 'a', 1)
      const stepping = await strict.pool.connect()
      await stepping.query('begin')
      await stepping.query('select * from evt.tick($1, 100)', [String(old.epoch)])
      // A statement that goes round in circles ends here.
      const taking = until(
        () =>
          acquireLease(strict, 'young', 60_000).catch((error: { code?: string }) => {
            if (error.code !== '40001') throw error
            return undefined
          }),
        { withinMs: 10_000 },
      )
      await until(
        async () =>
          (await store.query(`select from pg_locks where not granted and locktype = 'transactionid'`)).rows.length,
      )
      await stepping.query('commit')
      stepping.release()
      expect(await sequenceAll(strict, (await taking).epoch)).toBe(0)
    })
  }
})
