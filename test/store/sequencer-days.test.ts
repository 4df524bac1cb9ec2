import { expect, test } from 'vitest'
import type { Store } from '../../src/store/connection.ts'
import { acquireLease } from '../../src/store/lease.ts'
import { readUnsequenced, tick } from '../../src/store/sequencer.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { insertEvent, readLog, sequenceAll } from './sequencer-writers.ts'

describeServers('the sequencer and its days', (server) => {
  async function openLed(): Promise<{ store: Store; epoch: bigint }> {
    const { store } = await createTestDatabase({ server })
    const epoch = (await acquireLease(store, 'test', 60_000))?.epoch ?? 0n
    // The template may be older than the minute after which all days are looked at.
    await sequenceAll(store, epoch)
    return { store, epoch }
  }

  test('finds what clocks that jumped put into other days', async () => {
    const { store, epoch } = await openLed()
    await insertEvent(store.pool as never, 'future', 1, { day: new Date(Date.now() + 6 * 86_400_000) })
    expect(await sequenceAll(store, epoch)).toBe(0)
    // A minute later, as far as the cursor knows.
    await store.query(
      `insert into evt.ticks select tick + 1, epoch, at, head, snapshot, next_snapshot, after_seq, near_day, near_leaves,
         far_snapshot, far_at - interval '1 minute', duplicates, refused from evt.ticks order by tick desc limit 1`,
    )
    expect(await sequenceAll(store, epoch)).toBe(1)
    expect(await sequenceAll(store, epoch)).toBe(0)
  })

  const backlogs = [
    [30, 30, 30],
    [60, 30, 30],
  ] as const
  for (const backlog of backlogs) {
    test(`goes on in order after a day on which nobody stepped: ${backlog.join(' + ')} events`, async () => {
      const { store, epoch } = await openLed()
      await sequenceAll(store, epoch)
      await store.query('select evt.make_partitions(evt.today() - 3, evt.today())')
      // As of two days ago: what was near then is what the cursor still looks at.
      await store.query(
        `insert into evt.ticks select tick + 1, epoch, at, head, snapshot, null, 0, near_day - 2,
           array(select to_regclass('evt.outbox_' || class || '_' || to_char(evt.today() + distance, 'YYYYMMDD'))
                 from evt.classes, generate_series(-3, -1) distance),
           far_snapshot, far_at, duplicates, refused
         from evt.ticks order by tick desc limit 1`,
      )
      for (const [nth, events] of backlog.entries()) {
        await store.query(
          `insert into evt.outbox (id, type, source, subject, data, day)
           select 'x' || nextval('evt.outbox_seq'), 't', 's', 's/' || g % 3, '1', evt.today() - 2 + $1::int from generate_series(1, $2::int) g`,
          [nth, events],
        )
      }
      let waiting = backlog.reduce((sum, events) => sum + events, 0)
      for (let n = 1; waiting > 0; n += 1) {
        expect((await readUnsequenced(store, 1_000)).events).toBe(waiting)
        const step = await tick(store, epoch, 20)
        expect(step.sequenced).toBeLessThanOrEqual(20)
        expect(n, 'it does not come to an end').toBeLessThan(20)
        waiting -= step.sequenced
        // Writers go on meanwhile.
        if (n > 3) continue
        await insertEvent(store.pool as never, 's/0', n)
        waiting += 1
      }
      const { rows } = await store.query('select seq::int from evt.outbox order by seq')
      expect((await readLog(store)).map((row) => row.seq)).toEqual(rows.map((row) => row.seq))
      expect((await readUnsequenced(store, 1_000)).events).toBe(0)
      await insertEvent(store.pool as never, 'after', 1)
      expect(await sequenceAll(store, epoch)).toBe(1)
    })
  }

  test('takes rows of other days that the last small step saw and passed by', async () => {
    const { store, epoch } = await openLed()
    const far = { day: new Date(Date.now() + 6 * 86_400_000) }
    await insertEvent(store.pool as never, 'far', 1, far)
    await insertEvent(store.pool as never, 'near', 1)
    expect(await sequenceAll(store, epoch)).toBe(1)
    for (let n = 2; n <= 6; n += 1) {
      await insertEvent(store.pool as never, 'near', n)
      await insertEvent(store.pool as never, 'far', n, far)
    }
    await store.query(
      `insert into evt.ticks select tick + 1, epoch, at, head, snapshot, next_snapshot, after_seq, near_day, near_leaves,
         far_snapshot, far_at - interval '1 minute', duplicates, refused from evt.ticks order by tick desc limit 1`,
    )
    expect(await tick(store, epoch, 3)).toMatchObject({ sequenced: 3, more: true })
    // Another leader goes on in the middle of it.
    await store.query('update evt.relay set lease_until = clock_timestamp()')
    const next = await acquireLease(store, 'next', 60_000)
    expect(await sequenceAll(store, next?.epoch ?? 0n, 3)).toBe(8)
    expect((await readLog(store)).map((row) => row.id)).toEqual([
      ...['near#1', 'far#1', 'near#2', 'far#2', 'near#3', 'far#3'],
      ...['near#4', 'far#4', 'near#5', 'far#5', 'near#6', 'far#6'],
    ])
  })
})
