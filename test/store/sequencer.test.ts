import type { PoolClient } from 'pg'
import { expect, test } from 'vitest'
import { slotOf } from '../../src/core/slot.ts'
import type { Store } from '../../src/store/connection.ts'
import { acquireLease } from '../../src/store/lease.ts'
import { readUnsequenced, tick } from '../../src/store/sequencer.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { insertEvent, readLog, runWriters, sequenceAll } from './sequencer-writers.ts'

describeServers('the sequencer', (server) => {
  async function open(max = 20): Promise<{ store: Store; epoch: bigint; url: string }> {
    const database = await createTestDatabase({ server, max })
    const lease = await acquireLease(database.store, 'test', 60_000)
    return { store: database.store, epoch: lease?.epoch ?? 0n, url: database.url }
  }

  test('loses nothing, invents nothing and keeps the order of each subject where a reader by number loses', async () => {
    const { store, epoch } = await open()
    let naiveCursor = 0
    const naive = new Set<string>()
    let writing = true
    const sequencing = (async () => {
      while (writing) {
        await tick(store, epoch, 50)
        const { rows } = await store.query('select seq::int, id from evt.outbox where seq > $1 order by seq', [
          naiveCursor,
        ])
        for (const row of rows as { seq: number; id: string }[]) {
          naive.add(row.id)
          naiveCursor = row.seq
        }
      }
    })()
    const ledger = await runWriters(store, { writers: 12, rounds: 40, seed: 7 })
    writing = false
    await sequencing
    await sequenceAll(store, epoch)

    const log = await readLog(store)
    const bySubject = Map.groupBy(log, (row) => row.subject as string)
    for (const [subject, ids] of ledger.committed) expect(bySubject.get(subject)?.map((row) => row.id)).toEqual(ids)
    const committed = [...ledger.committed.values()].flat()
    expect(log.length).toBe(committed.length)
    expect(log.map((row) => row.position)).toEqual(log.map((_, i) => i + 1))
    expect(
      committed.filter((id) => !naive.has(id)).length,
      'the naive reader loses none: no race was made',
    ).toBeGreaterThan(0)
  })

  test('goes on while a writer is open in another database, and does not reach behind writers of its own', async () => {
    const { store, epoch } = await open()
    const other = await createTestDatabase({ server, schema: 'empty' })
    const foreign = await other.store.pool.connect()
    const early = await store.pool.connect()
    await foreign.query('begin; select pg_current_xact_id()')
    await early.query('begin')
    await insertEvent(early, 'a', 1)
    await insertEvent(store.pool as never, 'b', 1)
    expect(await sequenceAll(store, epoch)).toBe(1)
    await insertEvent(store.pool as never, 'b', 2)
    expect(await sequenceAll(store, epoch)).toBe(1)
    await early.query('commit')
    expect(await sequenceAll(store, epoch)).toBe(1)
    expect((await readLog(store)).map((row) => row.id)).toEqual(['b#1', 'b#2', 'a#1'])
    await foreign.query('rollback')
    foreign.release()
    early.release()
  })

  test('goes on beside a dump, a long report, a VACUUM and a transaction that was prepared and left', async () => {
    const { store, epoch } = await open()
    const clients = await Promise.all([1, 2, 3, 4].map(() => store.pool.connect()))
    const [dump, report, vacuum, left] = clients as [PoolClient, PoolClient, PoolClient, PoolClient]
    // As pg_dump does it.
    await dump.query(
      'begin isolation level repeatable read read only; lock table evt.outbox, evt.log in access share mode',
    )
    await report.query('begin isolation level repeatable read; select count(*) from evt.outbox')
    await left.query('begin')
    await insertEvent(left, 'left', 1)
    await left.query(`prepare transaction 'left_${epoch}_${server}'`)
    await vacuum.query('set vacuum_cost_delay = 1; set vacuum_cost_limit = 1')
    const vacuuming = vacuum.query('vacuum evt.outbox, evt.log, evt.ticks')
    for (let n = 1; n <= 20; n += 1) {
      await insertEvent(store.pool as never, 'a', n)
      expect(await sequenceAll(store, epoch)).toBe(1)
    }
    await store.query(`commit prepared 'left_${epoch}_${server}'`)
    expect(await sequenceAll(store, epoch)).toBe(1)
    await vacuuming
    expect((await report.query('select count(*)::int as n from evt.outbox')).rows).toEqual([{ n: 0 }])
    for (const client of clients) client.release(true)
    expect((await readLog(store)).map(({ seq }) => seq)).toHaveLength(21)
  })

  test('orders one subject by cause when an early transaction writes late', async () => {
    const { store, epoch } = await open()
    const early = await store.pool.connect()
    await early.query('begin; select pg_current_xact_id()')
    await insertEvent(store.pool as never, 'a', 1)
    await insertEvent(early, 'a', 2)
    await early.query('commit')
    early.release()
    const { rows } = await store.query('select id from evt.outbox order by xid, seq')
    expect(
      rows.map((row) => row.id),
      'by transaction number it is wrong',
    ).toEqual(['a#2', 'a#1'])
    await sequenceAll(store, epoch)
    expect((await readLog(store)).map((row) => row.id)).toEqual(['a#1', 'a#2'])
  })

  test('compares transaction numbers as numbers where their texts grow by a digit', async () => {
    const { store, epoch } = await open()
    await store.query('insert into evt.outbox (xid, id, type, source, data) values ($1, $2, $3, $4, $5)', [
      '9',
      'old',
      't',
      's',
      '1',
    ])
    // Visible in every snapshot of ours, so never read; the order of the index is what is looked at.
    const { rows } = await store.query(
      `select x.xid::text as text from (values ('1000'::xid8), ('999')) x (xid) order by x.xid`,
    )
    expect(rows.map((row) => row.text)).toEqual(['999', '1000'])
    expect(await sequenceAll(store, epoch)).toBe(0)
  })

  test('sequences a prepared transaction when it is committed, by whomever', async () => {
    const { store, epoch } = await open()
    const client = await store.pool.connect()
    await client.query('begin')
    await insertEvent(client, 'a', 1)
    await client.query(`prepare transaction 'p_${epoch}_${server}'`)
    client.release()
    await insertEvent(store.pool as never, 'b', 1)
    expect(await sequenceAll(store, epoch)).toBe(1)
    await store.query(`commit prepared 'p_${epoch}_${server}'`)
    expect(await sequenceAll(store, epoch)).toBe(1)
  })

  test('loses nothing when an administrator lets connections draw numbers in advance', async () => {
    const { store, epoch } = await open()
    await store.query('alter sequence evt.outbox_seq cache 50')
    const sequenced: string[] = []
    const [a, b] = [await store.pool.connect(), await store.pool.connect()]
    for (let n = 1; n <= 5; n += 1) {
      await insertEvent(b, 'b', n)
      await insertEvent(a, 'a', n)
      await sequenceAll(store, epoch)
      sequenced.push(...(await readLog(store)).slice(sequenced.length).map((row) => row.id))
    }
    expect(sequenced.toSorted()).toEqual([1, 2, 3, 4, 5].flatMap((n) => [`a#${n}`, `b#${n}`]).toSorted())
    a.release()
    b.release()
  })

  test('takes a backlog in bounded pieces and does not skip what is committed between them', async () => {
    const { store, epoch } = await open()
    const slow = await store.pool.connect()
    await slow.query('begin')
    await insertEvent(slow, 'slow', 1)
    await store.query(
      `insert into evt.outbox (id, type, source, subject, data) select 'x' || g, 't', 's', 'x', '1' from generate_series(1, 250) g`,
    )
    expect(await tick(store, epoch, 100)).toEqual({ sequenced: 100, head: 100n, more: true })
    await slow.query('commit')
    slow.release()
    expect((await tick(store, epoch, 100)).more).toBe(true)
    expect((await tick(store, epoch, 100)).sequenced).toBe(50)
    expect((await tick(store, epoch, 100)).sequenced).toBe(1)
    const log = await readLog(store)
    expect(log.map((row) => row.id)).toEqual([...Array.from({ length: 250 }, (_, i) => `x${i + 1}`), 'slow#1'])
  })

  test('computes the slots that Node computes', async () => {
    const { store, epoch } = await open()
    const subjects = ['user/1', 'user/2', 'ü', '\u{1F600}', ' ', 'x'.repeat(253)]
    for (const subject of subjects) await insertEvent(store.pool as never, subject, 1)
    await sequenceAll(store, epoch)
    for (const row of await readLog(store)) expect(row.slot, row.subject ?? '').toBe(slotOf(row.subject ?? ''))
  })

  test('drops a second event of the same key and bytes, and puts aside one of other bytes', async () => {
    const { store, epoch } = await open()
    const keyed = (n: number, data: string, checksum: string) =>
      insertEvent(store.pool as never, 'k', n, { data, checksum, event_key: Buffer.from('key') })
    await keyed(1, '1', 'one')
    await keyed(2, '1', 'one')
    await sequenceAll(store, epoch)
    await keyed(3, '1', 'one')
    await keyed(4, '2', 'two')
    await insertEvent(store.pool as never, 'free', 1)
    await sequenceAll(store, epoch)
    expect((await readLog(store)).map((row) => row.id)).toEqual(['k#1', 'free#1'])
    const { rows } = await store.query('select id, checksum, kept_checksum from evt.refused')
    expect(rows).toEqual([{ id: 'k#4', checksum: 'two', kept_checksum: 'one' }])
    const { rows: ticks } = await store.query(
      'select duplicates::int, refused::int from evt.ticks order by tick desc limit 1',
    )
    expect(ticks[0]).toEqual({ duplicates: 2, refused: 1 })
  })

  test('lets one of two leaders that step at the same moment do nothing, whatever they found', async () => {
    const { store, epoch } = await open()
    const keyed = (n: number, checksum: string) =>
      insertEvent(store.pool as never, 'k', n, { checksum, event_key: Buffer.from('key') })
    for (const found of [
      () => keyed(1, 'one'),
      () => keyed(2, 'two'),
      () => insertEvent(store.pool as never, 'a', 1),
    ]) {
      await found()
      const first = await store.pool.connect()
      await first.query('begin')
      await tick(first as never, epoch, 10)
      const second = tick(store, epoch, 10).catch((error: unknown) => error)
      await until(async () => {
        const { rows } = await store.query(`select from pg_stat_activity where wait_event_type = 'Lock'
          and datname = current_database() and query like '%evt.tick%'`)
        return rows.length > 0
      })
      await first.query('commit')
      first.release()
      expect(await second).toMatchObject({ code: 'fenced' })
    }
    expect((await readLog(store)).map((row) => row.id)).toEqual(['k#1', 'a#1'])
  })

  test('writes nothing and takes no transaction number when nothing was published', async () => {
    const { store, epoch } = await open()
    await sequenceAll(store, epoch)
    const client = await store.pool.connect()
    await client.query('begin')
    await client.query('select * from evt.tick($1, 100)', [String(epoch)])
    const { rows } = await client.query('select pg_current_xact_id_if_assigned() is null as unwritten')
    expect(rows[0].unwritten).toBe(true)
    await client.query('rollback')
    client.release()
  })

  test('counts what waits', async () => {
    const { store, epoch } = await open()
    expect(await readUnsequenced(store, 10)).toEqual({ events: 0, oldestMs: undefined })
    for (let n = 1; n <= 5; n += 1) await insertEvent(store.pool as never, 'a', n)
    await tick(store, epoch, 2)
    const waiting = await readUnsequenced(store, 10)
    expect(waiting.events).toBe(3)
    expect(Math.abs(Date.now() - (waiting.oldestMs ?? 0))).toBeLessThan(60_000)
    expect((await readUnsequenced(store, 2)).events).toBe(2)
    await sequenceAll(store, epoch)
    expect((await readUnsequenced(store, 10)).events).toBe(0)
  })

  test('refuses to change or remove what was written', async () => {
    const { store } = await open()
    await insertEvent(store.pool as never, 'a', 1)
    for (const text of [
      'delete from evt.outbox',
      `update evt.outbox set type = 'x'`,
      'truncate evt.outbox',
      'delete from evt.log',
    ]) {
      await expect(store.query(text), text).rejects.toMatchObject({ code: 'refused' })
    }
  })
})
