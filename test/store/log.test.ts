import { expect, onTestFinished, test } from 'vitest'
import { fromHeaders } from '../../src/core/codec.ts'
import type { Store } from '../../src/store/connection.ts'
import { acquireLease } from '../../src/store/lease.ts'
import { createLogReader, type LogReader } from '../../src/store/log.ts'
import { logChunkSize } from '../../src/store/partition-names.ts'
import { tick } from '../../src/store/sequencer.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { allowAnyType } from './any-type.ts'
import { insertEvent, sequenceAll } from './sequencer-writers.ts'

describeServers('the log reader', (server) => {
  async function open(): Promise<{ store: Store; epoch: bigint; reader: LogReader }> {
    const { store } = await createTestDatabase({ server })
    const lease = await acquireLease(store, 'test', 60_000)
    const reader = createLogReader(store)
    onTestFinished(() => reader.close())
    return { store, epoch: lease?.epoch ?? 0n, reader }
  }
  const startAt = (store: Store, head: bigint) =>
    store.query(
      `insert into evt.ticks select tick + 1, epoch, at, $1, snapshot, next_snapshot, after_seq, near_day, near_leaves,
         far_snapshot, far_at, duplicates, refused from evt.ticks order by tick desc limit 1`,
      [String(head)],
    )

  test('reads pages in order and says what it knows of each entry', async () => {
    const { store, epoch, reader } = await open()
    expect(await reader.read(0n, 10)).toEqual([])
    expect(await reader.head()).toBe(0n)
    for (let n = 1; n <= 5; n += 1) await insertEvent(store.pool as never, 'a', n)
    await sequenceAll(store, epoch)
    const first = await reader.read(0n, 3)
    const rest = await reader.read(3n, 10)
    expect([...first, ...rest].map((entry) => [entry.position, entry.id])).toEqual(
      [1, 2, 3, 4, 5].map((n) => [BigInt(n), `a#${n}`]),
    )
    expect(await reader.read(5n, 10)).toEqual([])
    const [entry] = first
    expect(entry?.sequencedMs).toBeGreaterThanOrEqual(entry?.recordedMs ?? Number.POSITIVE_INFINITY)
    expect(Math.abs((entry?.recordedMs ?? 0) - Date.now())).toBeLessThan(60_000)
  })

  test('reads over classes and days in one page', async () => {
    const { store, epoch, reader } = await open()
    const yesterday = new Date(Date.now() - 86_400_000)
    await insertEvent(store.pool as never, 'a', 1)
    await insertEvent(store.pool as never, 'a', 2, { class: 'audit' })
    await insertEvent(store.pool as never, 'a', 3, { day: yesterday })
    await insertEvent(store.pool as never, 'a', 4)
    await sequenceAll(store, epoch)
    for (const _ of ['first guess', 'guess of the last page']) {
      const entries = await reader.read(0n, 10)
      expect(entries.map((entry) => entry.id)).toEqual(['a#1', 'a#2', 'a#3', 'a#4'])
      expect(entries[1]?.class).toBe('audit')
    }
  })

  test('goes on into the next partition, which the sequencer makes', async () => {
    const { store, epoch, reader } = await open()
    await startAt(store, 2n * logChunkSize - 3n)
    for (let n = 1; n <= 6; n += 1) await insertEvent(store.pool as never, 'a', n)
    await sequenceAll(store, epoch)
    const start = await reader.start()
    expect(start).toBe(2n * logChunkSize - 3n)
    const ids: string[] = []
    for (let at = start; ids.length < 6; ) {
      const entries = await reader.read(at, 4)
      expect(entries.length).toBeGreaterThan(0)
      ids.push(...entries.map((entry) => entry.id))
      at = entries.at(-1)?.position ?? at
    }
    expect(ids).toEqual([1, 2, 3, 4, 5, 6].map((n) => `a#${n}`))
    await store.query('drop table evt.log_00000000')
    expect((await reader.read(0n, 1))[0]?.id, 'from before what is left').toBe('a#1')
  })

  test('takes null metadata for none', async () => {
    const { store, epoch, reader } = await open()
    await store.query('select evt.publish_many($1)', ['[{"type":"user.created","data":{},"metadata":null}]'])
    await sequenceAll(store, epoch)
    const [entry] = await reader.read(0n, 10)
    expect(fromHeaders(entry?.headers ?? {}, '{}').metadata).toEqual({})
  })

  test.each([
    ['metadata', "'[1, 2]'"],
    ['metadata', `'"text"'`],
    ['metadata', `'{"a": {"deep": true}, "ä": null}'`],
    ['metadata', `'{"a": 1e999}'`],
    ['type', "''"],
    ['source', "''"],
    ['version', '-1'],
    ['id', "repeat('x', 256)"],
    ['time', "'infinity'"],
    ['time', "'0044-03-15 BC'"],
  ])('gives a row whose %s is %s between others: it fails when it is decoded', async (column, value) => {
    const { store, epoch, reader } = await open()
    await allowAnyType(store)
    await insertEvent(store.pool as never, 'a', 1)
    // As it was written before there were limits.
    await store.query('alter table evt.outbox drop constraint outbox_lengths')
    const fine: Record<string, string> = { id: "'odd'", type: "'a.b'", source: "'sql'", data: "'{}'", [column]: value }
    await store.query(`insert into evt.outbox (${Object.keys(fine)}) values (${Object.values(fine)})`)
    await insertEvent(store.pool as never, 'a', 2)
    await sequenceAll(store, epoch)
    const entries = await reader.read(0n, 10)
    expect(entries.map(({ position }) => position)).toEqual([1n, 2n, 3n])
    expect(() => fromHeaders(entries[1]?.headers ?? {}, '{}')).toThrow(expect.objectContaining({ code: 'decode' }))
    expect(fromHeaders(entries[2]?.headers ?? {}, '{}').id).toBe('a#2')
  })

  test('carries a priority that is none, and a time of recording that no Date holds', async () => {
    const { store, epoch, reader } = await open()
    await store.query(`insert into evt.outbox (id, type, source, data, priority, recorded_at)
      values ('odd', 'a.b', 'sql', '{}', 'p%1', 'infinity')`)
    await sequenceAll(store, epoch)
    const [entry] = await reader.read(0n, 10)
    expect(entry?.headers['ce-priority']).toBe('p%1')
    expect(new Date(entry?.recordedMs ?? Number.NaN).getTime()).toBe(0)
  })

  test('passes over what retention has removed', async () => {
    const { store, epoch, reader } = await open()
    const yesterday = new Date(Date.now() - 86_400_000)
    const name = `evt.outbox_default_${yesterday.toISOString().slice(0, 10).replaceAll('-', '')}`
    for (let n = 1; n <= 3; n += 1) await insertEvent(store.pool as never, 'old', n, { day: yesterday })
    await insertEvent(store.pool as never, 'new', 1)
    await sequenceAll(store, epoch)
    await store.query(`drop table ${name}`)
    expect((await reader.read(0n, 2)).map((entry) => entry.id)).toEqual(['new#1'])
  })

  test('passes over what a superuser has removed past all guards, and still knows where it lay', async () => {
    const { store, epoch, reader } = await open()
    for (let n = 1; n <= 4; n += 1) await insertEvent(store.pool as never, 'a', n)
    await sequenceAll(store, epoch)
    await expect(store.query(`delete from evt.outbox where id = 'a#2'`)).rejects.toMatchObject({ code: 'refused' })
    await store.transaction(async (sql) => {
      await sql.query('set local session_replication_role = replica')
      await sql.query(`delete from evt.outbox where id in ('a#2', 'a#3')`)
    })
    expect((await reader.read(0n, 10)).map(({ id, position }) => [id, position])).toEqual([
      ['a#1', 1n],
      ['a#4', 4n],
    ])
    const { rows } = await store.query(
      `select position::int from evt.log l
       where not exists (select from evt.outbox o where (o.class, o.day, o.xid, o.seq) = (l.class, l.day, l.xid, l.seq)) order by 1`,
    )
    expect(rows).toEqual([{ position: 2 }, { position: 3 }])
  })

  test('finds the position of a time', async () => {
    const { store, epoch, reader } = await open()
    expect(await reader.positionAt(Date.now())).toBe(0n)
    for (let n = 1; n <= 9; n += 1) {
      await insertEvent(store.pool as never, 'a', n)
      await tick(store, epoch, 10)
    }
    const entries = await reader.read(0n, 10)
    for (const entry of entries) expect(await reader.positionAt(entry.sequencedMs)).toBe(entry.position - 1n)
    expect(await reader.positionAt(Date.now() + 60_000)).toBe(9n)
    expect(await reader.positionAt(0)).toBe(0n)
  })

  test('does not take the first events for gone when they are sequenced while it looks for the start', async () => {
    const { store, epoch, reader } = await open()
    await insertEvent(store.pool as never, 'a', 1)
    const start = await store.transaction(async (sql) => {
      // Whoever asks for the head now waits, and hears of what is sequenced here.
      await sql.query('lock table evt.ticks in access exclusive mode')
      const asked = reader.start()
      await until(async () => {
        const { rows } = await sql.query(`select from pg_locks where relation = 'evt.ticks'::regclass and not granted`)
        return rows.length > 0
      })
      await tick(sql, epoch, 10)
      return { asked }
    })
    expect(await start.asked).toBe(0n)
  })

  test('waits until the log goes beyond a position, by notification and without', async () => {
    const { store, epoch, reader } = await open()
    const signal = new AbortController()
    const waiting = reader.beyond(0n, signal.signal)
    await insertEvent(store.pool as never, 'a', 1)
    await tick(store, epoch, 10)
    await waiting
    await store.query(`select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'evt log listener' and datname = current_database()`)
    const again = reader.beyond(1n, signal.signal)
    await insertEvent(store.pool as never, 'a', 2)
    await tick(store, epoch, 10)
    await again
    // Anybody who may connect may notify anything.
    const third = reader.beyond(2n, signal.signal)
    for (const payload of ['abc', '', '-1', '9'.repeat(40)])
      await store.query('select pg_notify($1, $2)', ['evt_log', payload])
    await insertEvent(store.pool as never, 'a', 3)
    await tick(store, epoch, 10)
    await third
    const never = reader.beyond(3n, signal.signal)
    signal.abort()
    await never
  })

  test('outlives the loss of its connection', async () => {
    const { store, epoch, reader } = await open()
    await insertEvent(store.pool as never, 'a', 1)
    await sequenceAll(store, epoch)
    await reader.read(0n, 1)
    await store.query(`select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'evt log' and datname = current_database()`)
    const entries = await until(() => reader.read(0n, 1).catch(() => undefined))
    expect(entries[0]?.id).toBe('a#1')
  })

  test('ends its waits when it is closed', async () => {
    const { reader } = await open()
    const waiting = reader.beyond(0n, new AbortController().signal)
    await reader.close()
    await waiting
    await expect(reader.read(0n, 1)).rejects.toMatchObject({ code: 'closed' })
  })
})
