import { expect, it, onTestFinished } from 'vitest'
import type { Store } from '../../src/store/connection.ts'
import { countTraffic, tidyTraffic } from '../../src/store/count-traffic.ts'
import { startAnalytics } from '../../src/watch/analytics/count-traffic.ts'
import { readAnalytics } from '../../src/watch/analytics/read-analytics.ts'
import { sequence } from '../commands/sequence.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { until } from '../setup/until.ts'

const log = { debug() {}, info() {}, warn() {}, error() {} }
const patience = { withinMs: 20_000 }

const publish = (
  store: Store,
  type: string,
  { subject = 's', user = 'u', class: name = 'default', source = 'shop' } = {},
) =>
  store.query(`select evt.publish($1, '{"n": 1}', $2, user_id => $3, class => $4, source => $5)`, [
    ...[type, subject, user, name, source],
  ])
const counted = async (store: Store) => (await readAnalytics(store)).events

describeServers('analytics', (server) => {
  it('count types, sources, subjects and what users do, once, whoever counts', async () => {
    const { store } = await createTestDatabase({ server })
    const start = (instance: string) => {
      const one = startAnalytics({ store, instance, log, everyMs: 20 })
      onTestFinished(() => one.stop())
      return one
    }
    const first = start('a')
    start('b')
    await until(async () => (await store.query(`select from evt.watch_tasks`)).rows.length === 1, patience)
    for (let n = 0; n < 30; n++) await publish(store, 'order.placed', { subject: `order/${n % 3}`, user: 'ada' })
    await publish(store, 'order.paid', { subject: 'order/0', user: 'ada', source: 'bank' })
    await publish(store, 'user.created', { subject: 'user/1', user: 'bob', class: 'audit' })
    await publish(store, 'bench.tick', { class: 'scratch' })
    await sequence(store)
    await until(async () => (await counted(store)) === 32, patience)
    await first.stop()
    await publish(store, 'order.paid', { subject: 'order/0', user: 'ada', source: 'bank' })
    await sequence(store)
    await until(async () => (await counted(store)) === 33, patience)
    const { types, sources, subjects, users } = await readAnalytics(store, { minutes: 10 })
    expect(types.map(({ type, events }) => [type, events])).toEqual([
      ['order.placed', 30],
      ['order.paid', 2],
      ['user.created', 1],
    ])
    expect(types[0]).toMatchObject({ perMinute: 3, bytes: 240 })
    expect(sources.map(({ source, events }) => [source, events])).toEqual([
      ['shop', 31],
      ['bank', 2],
    ])
    expect(subjects.map(({ key, events }) => [key, events])).toEqual([
      ['order/0', 12],
      ['order/1', 10],
      ['order/2', 10],
      ['user/1', 1],
    ])
    expect(users).toMatchObject([
      { key: 'ada', events: 32, error: 0, types: { 'order.placed': 30, 'order.paid': 2 } },
      { key: 'bob', events: 1 },
    ])
  })

  it('keep what is popular among more keys than are counted, and say how wrong it may be', async () => {
    const { store } = await createTestDatabase({ server })
    const publishMany = (from: number, to: number) =>
      store.query(
        `select evt.publish('a.b', '{}', 'often'), evt.publish('a.b', '{}', 'rare/' || n) from generate_series($1::int, $2::int) n`,
        [from, to],
      )
    let at = 0n
    for (let round = 0; round < 4; round++) {
      await publishMany(round * 400, round * 400 + 399)
      await sequence(store)
      const head = BigInt(String((await store.query('select evt.head() as head')).rows[0]?.head))
      await store.transaction((sql) => countTraffic(sql, { after: at, upTo: head }))
      await tidyTraffic(store)
      at = head
    }
    const { rows } = await store.query(
      `select key, events::int, error::int from evt.analytics_popular where kind = 'subject' order by events desc`,
    )
    expect(rows.length).toBe(500)
    expect(rows[0]).toEqual({ key: 'often', events: 1600, error: 0 })
    for (const { events, error } of rows.slice(1)) expect(Number(events) - Number(error)).toBeLessThanOrEqual(1)
  })
})

it('the number of types and sources that are counted on their own is bounded', async () => {
  const { store } = await createTestDatabase()
  await store.query(
    `insert into evt.analytics_totals select 'a.n' || n, 's', 1, 1, now(), now() from generate_series(1, 4999) n`,
  )
  for (const type of ['b.one', 'b.two', 'b.three', 'a.n1']) await publish(store, type, { source: 's' })
  await sequence(store)
  await store.transaction((sql) => countTraffic(sql, { after: 0n, upTo: 4n }))
  const { rows } = await store.query(
    `select type, events::int from evt.analytics_totals where type !~ '^a.n' or events > 1 order by type`,
  )
  expect(rows).toEqual([
    { type: 'a.n1', events: 2 },
    { type: 'b.one', events: 1 },
    { type: 'other', events: 2 },
  ])
})
