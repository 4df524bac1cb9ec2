import { expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../../src/bridge.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createPublisher, defineHandler } from '../../src/index.ts'
import type { Store } from '../../src/store/connection.ts'
import { readGenerations, rebuildProjection } from '../../src/store/projections.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { startProcess } from './processes.ts'
import { due, known, projection } from './releasing.ts'

const subjects = 12
const ofEach = 12
const each = subjects * ofEach
/** One process each is killed then: in the middle of what was parked, of what was held, and of the rebuild. */
const kills: readonly ((left: Left) => boolean)[] = [
  ({ parked }) => parked < 0.8 * each,
  ({ held }) => held < 0.5 * each,
  ({ built }) => built > 0.7 * each,
]

it('a bridge killed while it releases parked events, delivers what was held and rebuilds a projection loses and doubles nothing', async () => {
  const { store, url } = await createTestDatabase({ max: 6 })
  await store.query(
    'create table effects (n bigint generated always as identity, id text, subject text, sequence bigint)',
  )
  await park(store, url)
  await rebuild(store)
  const start = () => {
    const child = startProcess('releasing-process.ts', [url])
    onTestFinished(() => child.end('SIGKILL'))
    return child
  }
  let next = start()
  await next.says('loaded')
  await schedule(store)
  for (const isMiddle of kills) {
    const child = next
    // Loads meanwhile.
    next = start()
    await child.says('loaded')
    child.go()
    await until(async () => child.gone || isMiddle(await leftOf(store)), { withinMs: 60_000 })
    expect(child.gone).toBe(false)
    await child.end('SIGKILL')
    // What a few seconds would do.
    await store.query(`update evt.relay set lease_until = '-infinity'`)
  }
  next.go()
  await until(async () => isOver(await leftOf(store)), { withinMs: 60_000 })
  await until(async () => (await readGenerations(store)).every(({ generation }) => generation === 2), {
    withinMs: 30_000,
  })
  const rows = async (text: string) => (await store.query(text)).rows
  expect(await rows('select count(*)::int as n, count(distinct id)::int as ids from effects')).toEqual([
    { n: 2 * each, ids: 2 * each },
  ])
  expect(await rows('select count(*)::int as n, count(distinct id)::int as ids from evt.outbox')).toEqual([
    { n: 2 * each, ids: 2 * each },
  ])
  expect(await rows('select count(*)::int as n from evt.log')).toEqual([{ n: 2 * each }])
  const inOrder = Array.from({ length: ofEach }, (_, n) => n + 1)
  for (const { seen } of await rows('select array_agg(sequence::int order by n) as seen from effects group by subject'))
    expect(seen).toEqual(inOrder)
  expect(await rows('select distinct events, last from fault_totals.totals')).toEqual([
    { events: ofEach, last: ofEach },
  ])
  for (const table of ['scheduled', 'deliveries', 'parked_subjects', 'suspects', 'dead_letters'])
    expect([table, await rows(`select * from evt.${table}`)]).toEqual([table, []])
}, 120_000)

/** A bridge of an older version meets events that it does not know. */
async function park(store: Store, url: string): Promise<void> {
  const handler = defineHandler({ name: 'faults.known', on: [known.v1], start: 'earliest', handle() {} })
  const old = createBridge({ store: url, handlers: [handler], registry: createRegistry([known.v1]) })
  onTestFinished(() => old.stop())
  await old.start()
  const publisher = createPublisher({ store, registry: createRegistry([known]), source: 'test' })
  await publisher.publish(
    store,
    numbered('known').map((event) => ({ type: 'fault.known', ...event, data: { ...event.data, more: true } })),
  )
  const stored = async () => Number((await store.query('select count(*) as n from evt.deliveries')).rows[0]?.n)
  await until(async () => (await stored()) === each, { withinMs: 20_000 })
  await old.stop()
}

/** In the order of their numbers. */
const numbered = (prefix: string) =>
  Array.from({ length: each }, (_, n) => ({
    subject: `${prefix}/${n % subjects}`,
    data: { sequence: 1 + Math.floor(n / subjects) },
  }))

/** Due over the next few seconds. */
async function schedule(store: Store): Promise<void> {
  const publisher = createPublisher({ store, registry: createRegistry([due]), source: 'test' })
  const nowMs = Date.now()
  const deliverAt = (n: number) => new Date(nowMs + 500 + 20 * n).toISOString()
  await publisher.publish(
    store,
    numbered('due').map((event, n) => ({ type: 'fault.due', ...event, deliverAt: deliverAt(n) })),
  )
}

/** Its first build has nothing in it; the second one is begun, and nobody builds it yet. */
async function rebuild(store: Store): Promise<void> {
  const { name, version, options } = projection as never as {
    name: string
    version: number
    options: { tables: Record<string, string> }
  }
  for (const generation of [1, 2])
    expect(await rebuildProjection(store, { name, version, tables: options.tables })).toBe(generation)
}

interface Left {
  readonly parked: number
  readonly held: number
  readonly built: number
  readonly effects: number
}

const isOver = ({ built, effects }: Left) => built === 2 * each && effects === 2 * each

async function leftOf(store: Store): Promise<Left> {
  const { rows } = await store.query(
    `select (select count(*) from evt.deliveries where handler = 'faults.known')::int as parked,
       (select count(*) from evt.scheduled)::int as held,
       (select coalesce(sum(events), 0) from fault_totals_g2.totals)::int as built,
       (select count(*) from effects)::int as effects`,
  )
  return rows[0] as unknown as Left
}
