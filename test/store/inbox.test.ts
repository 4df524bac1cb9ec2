import { expect, it } from 'vitest'
import { enterInbox, maintainInbox } from '../../src/store/inbox.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { until } from '../setup/until.ts'

describeServers('the inbox', (server) => {
  it('lets each event in once for a handler, also when two enter at once', async () => {
    const { store } = await createTestDatabase({ server })
    const entries = ['a', 'b', 'a'].map((eventId) => ({ eventId, day: '2026-11-21' }))
    let release = () => {}
    const first = store.transaction(async (sql) => {
      const fresh = await enterInbox(sql, 'one', entries)
      await new Promise<void>((resolve) => (release = resolve))
      return fresh
    })
    const waits = async () => (await store.query(`select from pg_locks where not granted`)).rows.length > 0
    await until(
      async () =>
        (
          await store.query(
            `select from pg_stat_activity where state = 'idle in transaction' and datname = current_database()`,
          )
        ).rows.length > 0,
    )
    const second = enterInbox(store, 'one', [...entries, { eventId: 'c', day: '2026-11-21' }])
    await until(waits)
    release()
    expect(await first).toEqual(new Set(['a', 'b']))
    expect(await second).toEqual(new Set(['c']))
    expect(await enterInbox(store, 'two', entries)).toEqual(new Set(['a', 'b']))
    expect(await enterInbox(store, 'one', entries, 'replay:7')).toEqual(new Set(['a', 'b']))
  })

  it('is kept up without holding up those who write to it, also while a transaction stays open on it', async () => {
    const { store } = await createTestDatabase({ server })
    for (const day of ['01', '02', '03']) {
      await store.query(
        `create table evt.inbox_202001${day} partition of evt.inbox for values from ('2020-01-${day}') to (date '2020-01-${day}' + 1)`,
      )
    }
    const left = async () =>
      (await store.query(`select from pg_class where relname ~ '^inbox_202001[0-9]{2}$' and relkind = 'r'`)).rows.length
    let close = () => {}
    let opened = false
    const open = store.transaction(async (sql) => {
      await sql.query('select from evt.inbox')
      opened = true
      await new Promise<void>((resolve) => (close = resolve))
    })
    await until(() => opened)
    const began = performance.now()
    const upkeep = maintainInbox(store, { aheadDays: 20, keepDays: 90 })
    await enterInbox(store, 'one', [{ eventId: 'a', day: '2026-11-21' }])
    await upkeep
    expect(performance.now() - began).toBeLessThan(10_000)
    expect(await left()).toBe(3)
    close()
    await open
    await maintainInbox(store, { aheadDays: 20, keepDays: 90 })
    expect(await left()).toBe(0)
  })

  it('makes and drops partitions by day, and moves what came before its partition was made', async () => {
    const { store } = await createTestDatabase({ server })
    const day = async (offset: number) =>
      String((await store.query(`select to_char(current_date + $1::int, 'YYYY-MM-DD') as day`, [offset])).rows[0]?.day)
    const [early, old] = [await day(16), await day(-200)]
    await enterInbox(store, 'one', [
      { eventId: 'early', day: early },
      { eventId: 'old', day: old },
    ])
    const placeOf = async (id: string) =>
      (await store.query('select tableoid::regclass::text as name from evt.inbox where event_id = $1', [id])).rows[0]
        ?.name
    expect(await placeOf('early')).toBe('evt.inbox_other')
    await maintainInbox(store, { aheadDays: 20, keepDays: 90 })
    expect(await placeOf('early')).toBe(`evt.inbox_${early.replaceAll('-', '')}`)
    expect(await placeOf('old')).toBe('evt.inbox_other')
    expect(await enterInbox(store, 'one', [{ eventId: 'early', day: early }])).toEqual(new Set())
    const count = async () =>
      (await store.query(`select count(*)::int as n from pg_inherits where inhparent = 'evt.inbox'::regclass`)).rows[0]
        ?.n
    const before = await count()
    await store.query(
      `create table evt.inbox_20200101 partition of evt.inbox for values from ('2020-01-01') to ('2020-01-02')`,
    )
    await Promise.all([1, 2, 3].map(() => maintainInbox(store, { aheadDays: 20, keepDays: 90 })))
    expect(await count()).toBe(before)
  })
})
