import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, onTestFinished, test } from 'vitest'
import type { Store } from '../../src/store/connection.ts'
import { acquireLease } from '../../src/store/lease.ts'
import { type ObservedEvent, type ObserveFrom, observeOutbox } from '../../src/store/observe.ts'
import { tick } from '../../src/store/sequencer.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { insertEvent, runWriters, sequenceAll } from './sequencer-writers.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function liveBytes(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

describeServers('the observer', (server) => {
  async function everything(store: Store, from: ObserveFrom, batch = 100): Promise<readonly ObservedEvent[]> {
    const signal = new AbortController().signal
    const seen: ObservedEvent[] = []
    for await (const events of observeOutbox(store, { from, follow: false, signal, batch })) {
      expect(events.length).toBeLessThanOrEqual(batch)
      seen.push(...events)
    }
    return seen
  }
  function follow(store: Store, from: ObserveFrom) {
    const stop = new AbortController()
    const seen: ObservedEvent[] = []
    const ended = (async () => {
      for await (const events of observeOutbox(store, { from, follow: true, signal: stop.signal })) seen.push(...events)
    })()
    const end = async () => {
      stop.abort()
      await ended
    }
    onTestFinished(end)
    return { seen, end }
  }
  /** The observer has its snapshot when it polls. */
  const polling = (store: Store) =>
    until(async () => {
      const { rows } = await store.query(`select from pg_stat_activity where application_name = 'evt observe'
        and datname = current_database() and query like 'select pg_current_snapshot%'`)
      return rows.length > 0
    })

  test('follows what is committed, each once, though no bridge runs and writers overlap', async () => {
    const { store } = await createTestDatabase({ server, max: 20 })
    const { seen, end } = follow(store, 'now')
    await polling(store)
    const ledger = await runWriters(store, { writers: 8, rounds: 25, seed: 5 })
    const committed = [...ledger.committed.values()].flat()
    await until(() => seen.length >= committed.length, { withinMs: 10_000 })
    for (const [subject, ids] of ledger.committed) {
      expect(seen.filter((event) => event.subject === subject).map((event) => event.id)).toEqual(ids)
    }
    expect(seen).toHaveLength(committed.length)
    await end()
  })

  test('gives history once, whether sequenced, half sequenced or not at all', async () => {
    const { store } = await createTestDatabase({ server })
    const ids = [1, 2, 3, 4, 5, 6].map((n) => `a#${n}`)
    for (let n = 1; n <= 6; n += 1) await insertEvent(store.pool as never, 'a', n)
    const seen = async () => (await everything(store, 'start', 4)).map((event) => event.id)
    expect(await seen(), 'nothing sequenced').toEqual(ids)
    const lease = await acquireLease(store, 'test', 60_000)
    await tick(store, lease?.epoch ?? 0n, 2)
    expect(await seen(), 'in the middle of a snapshot pair').toEqual(ids)
    await sequenceAll(store, lease?.epoch ?? 0n)
    expect(await seen(), 'all sequenced').toEqual(ids)
    expect((await everything(store, { position: 4n })).map((event) => event.id)).toEqual(['a#4', 'a#5', 'a#6'])
    expect(await everything(store, 'now')).toEqual([])
  })

  test('gives what no bridge has sequenced for days', async () => {
    const { store } = await createTestDatabase({ server })
    await store.query('select evt.make_partitions(evt.today() - 3, evt.today())')
    await store.query(
      `insert into evt.ticks select tick + 1, epoch, at, head, snapshot, null, 0, near_day - 2,
         array(select to_regclass('evt.outbox_' || class || '_' || to_char(evt.today() + distance, 'YYYYMMDD'))
               from evt.classes, generate_series(-3, -1) distance),
         far_snapshot, far_at, duplicates, refused
       from evt.ticks order by tick desc limit 1`,
    )
    for (let n = 1; n <= 3; n += 1) {
      await insertEvent(store.pool as never, 'a', n, { day: new Date(Date.now() - (3 - n) * 86_400_000) })
    }
    expect((await everything(store, 'start')).map((event) => event.id)).toEqual(['a#1', 'a#2', 'a#3'])
  })

  test('starts at a time', async () => {
    const { store } = await createTestDatabase({ server })
    const lease = await acquireLease(store, 'test', 60_000)
    await insertEvent(store.pool as never, 'a', 1)
    await sequenceAll(store, lease?.epoch ?? 0n)
    const { rows } = await store.query(`select date_part('epoch', clock_timestamp()) * 1000 as now`)
    await insertEvent(store.pool as never, 'a', 2)
    await sequenceAll(store, lease?.epoch ?? 0n)
    await insertEvent(store.pool as never, 'a', 3)
    const seen = await everything(store, { timeMs: Number(rows[0]?.now) })
    expect(seen.map((event) => event.id)).toEqual(['a#2', 'a#3'])
  })

  test('shows what an open transaction wrote when it commits, and nothing of one that rolls back', async () => {
    const { store } = await createTestDatabase({ server })
    const [late, never] = [await store.pool.connect(), await store.pool.connect()]
    for (const client of [late, never]) await client.query('begin')
    await insertEvent(late, 'late', 1)
    await insertEvent(never, 'never', 1)
    const { seen } = follow(store, 'start')
    await insertEvent(store.pool as never, 'a', 1)
    await until(() => seen.length === 1)
    await never.query('rollback')
    await late.query('commit')
    await insertEvent(store.pool as never, 'a', 2)
    await until(() => seen.length === 3)
    expect(seen.map((event) => event.id).toSorted()).toEqual(['a#1', 'a#2', 'late#1'])
    late.release()
    never.release()
  })

  test('writes nothing, takes no transaction number and holds no lock that anybody could wait for', async () => {
    const { store } = await createTestDatabase({ server })
    for (let n = 1; n <= 20; n += 1) await insertEvent(store.pool as never, 'a', n)
    const written = async () => {
      const { rows } = await store.query(
        `select relname, n_tup_ins, n_tup_upd, n_tup_del from pg_stat_user_tables order by relname`,
      )
      return rows
    }
    await store.query('select pg_stat_force_next_flush()').catch(() => {})
    const before = await written()
    const { seen, end } = follow(store, 'start')
    await until(() => seen.length === 20)
    await polling(store)
    const { rows: locks } = await store.query(
      `select l.mode from pg_locks l join pg_stat_activity a using (pid)
       where a.application_name in ('evt observe', 'evt log') and a.datname = current_database()
         and l.mode not in ('AccessShareLock', 'ExclusiveLock')`,
    )
    expect(locks).toEqual([])
    const { rows: numbers } = await store.query(
      `select backend_xid from pg_stat_activity where application_name in ('evt observe', 'evt log')
       and datname = current_database() and backend_xid is not null`,
    )
    expect(numbers).toEqual([])
    const { rows: readOnly } = await store.query(`select count(*)::int as sessions from pg_stat_activity
      where application_name in ('evt observe', 'evt log') and datname = current_database()`)
    expect(readOnly[0]?.sessions, 'the sessions that were looked at').toBeGreaterThanOrEqual(1)
    await end()
    await store.query('select pg_stat_force_next_flush()').catch(() => {})
    expect(await written()).toEqual(before)
  })

  test('does not keep a backlog in memory', async () => {
    const { store } = await createTestDatabase({ server })
    const events = 120_000
    await store.query(
      `insert into evt.outbox (id, type, source, subject, data)
       select 'x' || g, 't', 's', 'x/' || g % 100, json_build_object('fill', repeat('y', 300)) from generate_series(1, $1::int) g`,
      [events],
    )
    let seen = 0
    let peak = 0
    const before = liveBytes()
    const signal = new AbortController().signal
    for await (const batch of observeOutbox(store, { from: 'start', follow: false, signal })) {
      seen += batch.length
      if (seen % 20_000 < batch.length) peak = Math.max(peak, liveBytes() - before)
    }
    expect(seen).toBe(events)
    // All of it would be more than 100 MB.
    expect(peak).toBeLessThan(50 * 1024 * 1024)
  })

  test('ends when it is told to, also in the middle', async () => {
    const { store } = await createTestDatabase({ server })
    for (let n = 1; n <= 20; n += 1) await insertEvent(store.pool as never, 'a', n)
    const stop = new AbortController()
    let batches = 0
    for await (const _ of observeOutbox(store, { from: 'start', follow: true, signal: stop.signal, batch: 5 })) {
      batches += 1
      stop.abort()
    }
    expect(batches).toBe(1)
  })
})
