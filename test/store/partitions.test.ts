import { expect, test } from 'vitest'
import type { Store } from '../../src/store/connection.ts'
import { acquireLease } from '../../src/store/lease.ts'
import { maintainPartitions } from '../../src/store/partitions.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { insertEvent, readLog, sequenceAll } from './sequencer-writers.ts'

const dayMs = 86_400_000
const daysOn = (days: number) => new Date(Date.now() + days * dayMs)
const leafOf = (eventClass: string, day: Date) =>
  `outbox_${eventClass}_${day.toISOString().slice(0, 10).replaceAll('-', '')}`

describeServers('the partitions', (server) => {
  const exists = async (store: Store, table: string): Promise<boolean> =>
    (await store.query('select to_regclass($1) is not null as found', [`evt.${table}`])).rows[0]?.found === true
  /** As after a minute: days that are not near any more are looked through. */
  const lookEverywhere = (store: Store) =>
    store.query(`insert into evt.ticks select tick + 1, epoch, at, head, snapshot, next_snapshot, after_seq, near_day,
      '{}', far_snapshot, far_at - interval '1 minute', duplicates, refused from evt.ticks order by tick desc limit 1`)

  test('are there for yesterday, today and fourteen days to come, and are made once', async () => {
    const { store } = await createTestDatabase({ server })
    expect((await maintainPartitions(store)).made).toBe(0)
    expect(await exists(store, leafOf('audit', daysOn(14)))).toBe(true)
    const later = await Promise.all(
      [1, 2, 3].map(() => maintainPartitions(store, { now: daysOn(1), retentionDays: { scratch: 30 } })),
    )
    expect(
      later.reduce((sum, one) => sum + one.made, 0),
      'three classes, one more day',
    ).toBe(3)
  })

  test('go by class when their age is over', async () => {
    const { store } = await createTestDatabase({ server })
    const first = daysOn(-1)
    const [done] = await Promise.all(
      [1, 2].map(() => maintainPartitions(store, { now: daysOn(31), lockTimeoutMs: 5_000 })),
    )
    expect(done?.dropped).toContain(leafOf('default', first))
    expect(done?.dropped).not.toContain(leafOf('audit', first))
    expect(await exists(store, leafOf('default', first))).toBe(false)
    expect(await exists(store, leafOf('default', daysOn(1)))).toBe(true)
    expect((await maintainPartitions(store, { now: daysOn(31) })).dropped).toEqual([])
  })

  test('stay while something in them is not sequenced', async () => {
    const { store } = await createTestDatabase({ server })
    const lease = await acquireLease(store, 'test', 60_000)
    await insertEvent(store.pool as never, 'a', 1)
    const leaf = leafOf('default', new Date())
    const retained = (await maintainPartitions(store, { now: daysOn(40) })).retained.find((one) => one.table === leaf)
    expect(retained?.reason).toContain('not sequenced')
    await insertEvent(store.pool as never, 'a', 2)
    await sequenceAll(store, lease?.epoch ?? 0n)
    expect((await readLog(store)).map((row) => row.id)).toEqual(['a#1', 'a#2'])
    expect((await maintainPartitions(store, { now: daysOn(40) })).dropped).toContain(leaf)
  })

  test('stay while somebody needs what is in them, who is named', async () => {
    const { store } = await createTestDatabase({ server })
    const lease = await acquireLease(store, 'test', 60_000)
    await insertEvent(store.pool as never, 'a', 1)
    await sequenceAll(store, lease?.epoch ?? 0n)
    await store.query(`select evt.ensure_group('slow', 4, 0)`)
    const leaf = leafOf('default', new Date())
    const { retained } = await maintainPartitions(store, { now: daysOn(40) })
    expect(retained.find((one) => one.table === leaf)?.reason).toBe('group slow still needs it')
    await store.query('update evt.lanes set position = 1')
    await store.query(`insert into evt.deliveries (handler, lane, event_id, type, topic, at, position)
      values ('slow', '0', 'a#1', 'thing.happened', 'log', '1', 1)`)
    const { retained: stillThere } = await maintainPartitions(store, { now: daysOn(40) })
    expect(stillThere.find((one) => one.table === leaf)?.reason).toContain('retrying')
    await store.query('delete from evt.deliveries')
    expect((await maintainPartitions(store, { now: daysOn(40) })).dropped).toContain(leaf)
  })

  test('stay for a group that appears while they are about to go', async () => {
    const { store } = await createTestDatabase({ server })
    const lease = await acquireLease(store, 'test', 60_000)
    await insertEvent(store.pool as never, 'a', 1)
    await sequenceAll(store, lease?.epoch ?? 0n)
    const leaf = leafOf('default', new Date())
    const reader = await store.pool.connect()
    await reader.query(`begin; select from evt.${leaf}`)
    const going = maintainPartitions(store, { now: daysOn(40), lockTimeoutMs: 20_000 })
    await until(async () => {
      const { rows } = await store.query('select from pg_locks where relation = $1::regclass and not granted', [
        `evt.${leaf}`,
      ])
      return rows.length > 0 || undefined
    })
    await store.query(`select evt.ensure_group('new', 4, 0)`)
    await reader.query('commit')
    reader.release()
    expect((await going).retained.find((one) => one.table === leaf)?.reason).toBe('group new still needs it')
  })

  test('outlive a clock that jumps two days ahead and back, as far as somebody needs them', async () => {
    const { store } = await createTestDatabase({ server })
    const lease = await acquireLease(store, 'test', 60_000)
    await insertEvent(store.pool as never, 'a', 1, { class: 'scratch' })
    await sequenceAll(store, lease?.epoch ?? 0n)
    await store.query(`select evt.ensure_group('slow', 4, 0)`)
    const leaf = leafOf('scratch', new Date())
    expect((await maintainPartitions(store, { now: daysOn(2) })).retained.map(({ table }) => table)).toContain(leaf)
    expect(await maintainPartitions(store)).toMatchObject({ dropped: [], retained: [] })
    await insertEvent(store.pool as never, 'a', 2, { class: 'scratch' })
    await sequenceAll(store, lease?.epoch ?? 0n)
    expect((await readLog(store)).map(({ id }) => id)).toEqual(['a#1', 'a#2'])
  })

  test.each([0, 1])(
    'that are missing, of the day in %i days, refuse writers, and nothing else, until they are made',
    async (days) => {
      const { store } = await createTestDatabase({ server })
      const lease = await acquireLease(store, 'test', 60_000)
      const [leaf, day] = [leafOf('default', daysOn(days)), daysOn(days).toISOString().slice(0, 10)]
      await store.query(`drop table evt.${leaf}`)
      const write = (n: number) => insertEvent(store.pool as never, 'a', n, { day })
      await expect(write(1)).rejects.toThrow('no partition of relation "outbox_default" found for row')
      await insertEvent(store.pool as never, 'b', 1, { day, class: 'audit' })
      await sequenceAll(store, lease?.epoch ?? 0n)
      expect((await maintainPartitions(store)).made).toBe(1)
      await write(2)
      await store.query('select evt.look_everywhere()')
      await sequenceAll(store, lease?.epoch ?? 0n)
      expect((await readLog(store)).map(({ id }) => id)).toEqual(['b#1', 'a#2'])
    },
  )

  test.each(['Pacific/Kiritimati', 'Pacific/Pago_Pago', 'Europe/Berlin'])(
    'go by the day in UTC, whatever clocks show in %s, also in the night in which they are changed',
    async (zone) => {
      const { store } = await createTestDatabase({ server, max: 1 })
      await store.query(`select set_config('timezone', $1, false)`, [zone])
      await insertEvent(store.pool as never, 'a', 1)
      expect((await store.query('select day = evt.today() as same from evt.outbox')).rows).toEqual([{ same: true }])
      // Both hours that are called half past two, and the one that is not there.
      const days = ['2025-10-26T00:30:00Z', '2025-10-26T01:30:00Z', '2025-03-30T01:30:00Z'].map((at) => new Date(at))
      for (const now of days) {
        await maintainPartitions(store, { now })
        expect(await exists(store, leafOf('default', new Date(now.getTime() + 14 * dayMs)))).toBe(true)
        expect(await exists(store, leafOf('default', new Date(now.getTime() + 15 * dayMs)))).toBe(false)
      }
    },
  )

  test('let other writers go on while one of them is blocked in a prepared transaction', async () => {
    const { store } = await createTestDatabase({ server })
    const lease = await acquireLease(store, 'test', 60_000)
    const name = `partitions_${server}`
    const client = await store.pool.connect()
    await client.query('begin')
    await insertEvent(client, 'prepared', 1)
    await client.query(`prepare transaction '${name}'`)
    client.release()

    let writing = true
    let slowestMs = 0
    let written = 0
    const writer = (async () => {
      while (writing) {
        const start = performance.now()
        written += 1
        await insertEvent(store.pool as never, 'w', written)
        slowestMs = Math.max(slowestMs, performance.now() - start)
      }
    })()
    const made = await maintainPartitions(store, { now: daysOn(3), lockTimeoutMs: 50 })
    const late = await maintainPartitions(store, { now: daysOn(40), lockTimeoutMs: 50 })
    writing = false
    await writer
    expect(made.made).toBeGreaterThan(0)
    expect(late.retained.find((one) => one.table.startsWith('outbox_default'))?.reason).toContain(
      'prepared transaction',
    )
    // Without the care, a writer waits for the end of the prepared transaction: for ever.
    expect(slowestMs).toBeLessThan(15_000)

    await store.query(`commit prepared '${name}'`)
    await lookEverywhere(store)
    await sequenceAll(store, lease?.epoch ?? 0n)
    expect((await readLog(store)).filter((row) => row.id === 'prepared#1')).toHaveLength(1)
    const done = await maintainPartitions(store, { now: daysOn(40) })
    expect(done.dropped).toContain(leafOf('default', new Date()))
  })

  test('take the keys of their events with them, without reading all that are kept', async () => {
    const { store } = await createTestDatabase({ server, max: 1 })
    await store.query(`insert into evt.event_keys (key, day, seq)
      select int4send(g), evt.today() - case when g <= 10 then 400 else 0 end, g from generate_series(1, 5000) g`)
    await maintainPartitions(store)
    expect((await store.query('select count(*)::int as kept from evt.event_keys')).rows[0]).toEqual({ kept: 4_990 })
    const read = async (): Promise<number> => {
      await store.query('select pg_stat_force_next_flush()')
      const { rows } = await store.query(
        `select (seq_tup_read + coalesce(idx_tup_fetch, 0))::int as read from pg_stat_user_tables where relid = 'evt.event_keys'::regclass`,
      )
      return (rows[0] as { read: number }).read
    }
    const before = await read()
    await maintainPartitions(store)
    expect((await read()) - before).toBeLessThan(100)
  })

  test('give their readers the rights that the parent gives', async () => {
    const { store } = await createTestDatabase({ server })
    const role = `reader_${server}_${process.pid}`
    await store.query(`create role ${role}`)
    try {
      await store.query(`grant select on evt.outbox, evt.log to ${role}`)
      await maintainPartitions(store, { now: daysOn(5), retentionDays: { scratch: 30 } })
      await store.query('select evt.make_log_chunk(7)')
      const { rows } = await store.query(
        `select has_table_privilege($1, $2, 'select') as leaf, has_table_privilege($1, 'evt.log_00000007', 'select') as chunk`,
        [role, `evt.${leafOf('default', daysOn(19))}`],
      )
      expect(rows[0]).toEqual({ leaf: true, chunk: true })
    } finally {
      await store.query(`drop owned by ${role}; drop role ${role}`)
    }
  })
})
