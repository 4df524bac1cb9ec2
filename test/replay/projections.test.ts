import { expect, it, onTestFinished } from 'vitest'
import {
  type BridgeOptions,
  createBridge,
  defineProjection,
  defineService,
  type ProjectionOptions,
} from '../../src/index.ts'
import type { Store } from '../../src/store/connection.ts'
import { readLost } from '../../src/store/lost-history.ts'
import { maintainPartitions } from '../../src/store/partitions.ts'
import { readGenerations, rebuildProjection } from '../../src/store/projections.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

const totals = (more: Partial<ProjectionOptions> = {}) =>
  defineProjection({
    name: 'thing_totals',
    on: ['thing.*'],
    tables: { totals: 'subject text primary key, n int not null' },
    async apply({ subject }, { sql }) {
      await sql`insert into totals values (${subject}, 1) on conflict (subject) do update set n = totals.n + 1`
    },
    ...more,
  })

async function bridgeWith(url: string, projection: ReturnType<typeof totals>, more: Pick<BridgeOptions, 'log'> = {}) {
  const things = defineService({ name: 'things', contracts: [], handlers: [], projections: [projection] })
  const bridge = createBridge({ store: url, services: [things], grace: '1s', ...more })
  onTestFinished(() => bridge.stop())
  await bridge.start()
  return bridge
}

const publish = (store: Store, subject: string) =>
  store.query(`select evt.publish('thing.happened', '{}', $1)`, [subject])
const read = async (store: Store, column = 'n') =>
  (await store.query(`select subject, ${column} as n from thing_totals.totals order by 1`)).rows.map((row) => [
    row.subject,
    row.n,
  ])

it('a projection follows what happens; rebuilt, it takes its place in one step, and nothing of the old one is left', async () => {
  const { store, url } = await createTestDatabase({ max: 12 })
  for (const subject of ['a', 'a', 'b']) await publish(store, subject)
  const bridge = await bridgeWith(url, totals())
  await until(async () => JSON.stringify(await read(store)) === '[["a",2],["b",1]]')
  // As if a defect of an earlier build had left something wrong.
  await store.query('update thing_totals_g1.totals set n = 100')
  const { version, options } = totals()
  expect(await rebuildProjection(store, { name: 'thing_totals', version, tables: options.tables })).toBe(2)
  await publish(store, 'b')
  expect((await read(store))[0]).toEqual(['a', 100])
  await until(async () => (await readGenerations(store)).every(({ generation }) => generation === 2), {
    withinMs: 15_000,
  })
  await until(() => bridge.stats().handlers.every(({ handler }) => handler === 'projection.thing_totals.g2'), {
    what: 'the old build to be told of no more',
  })
  expect(await read(store)).toEqual([
    ['a', 2],
    ['b', 2],
  ])
  await publish(store, 'c')
  await until(async () => (await read(store)).length === 3)
  const left = `select name from evt.groups union all select handler from evt.inbox where handler like '%g1' union all
    select nspname from pg_namespace where nspname = 'thing_totals_g1'`
  expect((await store.query(left)).rows).toEqual([{ name: 'projection.thing_totals.g2' }])
})

it('a higher version with other columns is built beside the live one, and one that fails does not take its place', async () => {
  const { store, url } = await createTestDatabase({ max: 12 })
  await publish(store, 'a')
  const first = await bridgeWith(url, totals())
  await until(async () => (await read(store)).length === 1)
  await first.stop()
  let fails = true
  const next = totals({
    version: 2,
    tables: { totals: 'subject text primary key, many bigint not null' },
    retry: { attempts: 1 },
    async apply({ subject }, { sql }) {
      if (fails) throw new Error('not yet')
      await sql`insert into totals values (${subject}, 1) on conflict (subject) do update set many = totals.many + 1`
    },
  })
  const said: string[] = []
  const warn = (message: string, facts?: object) => said.push(`${message} ${JSON.stringify(facts)}`)
  const log = { debug() {}, info() {}, warn, error() {} }
  const second = await bridgeWith(url, next, { log })
  await until(async () => (await readGenerations(store)).some(({ missing }) => missing > 0), { withinMs: 15_000 })
  await until(() => said.some((one) => /does not take the place.*thing_totals.*evt projection list/.test(one)))
  expect(await read(store)).toEqual([['a', 1]])
  expect((await readGenerations(store)).map(({ status, version }) => [status, version])).toEqual([
    ['live', 1],
    ['building', 2],
  ])
  fails = false
  const { version, options } = next
  await rebuildProjection(store, { name: 'thing_totals', version, tables: options.tables })
  await until(async () => (await readGenerations(store)).every(({ version }) => version === 2), { withinMs: 15_000 })
  expect(await read(store, 'many')).toEqual([['a', '1']])
  await second.stop()
  // A process of the version before changes nothing.
  await bridgeWith(url, totals())
  expect((await readGenerations(store)).map(({ status, version }) => [status, version])).toEqual([['live', 2]])
})

it('a higher version does not take the place of one that has what retention has removed, until somebody asks for it', async () => {
  const { store, url } = await createTestDatabase({ max: 12 })
  for (const subject of ['a', 'a', 'b']) await publish(store, subject)
  const lines: string[] = []
  const line = (message: string, facts?: object) => void lines.push(`${message} ${JSON.stringify(facts)}`)
  const log = { debug() {}, info() {}, warn: line, error: line }
  const first = await bridgeWith(url, totals(), { log })
  const has = [
    ['a', 2],
    ['b', 1],
  ]
  await until(async () => JSON.stringify(await read(store)) === JSON.stringify(has))
  await first.stop()
  const dropsAll = async () => {
    const { dropped } = await maintainPartitions(store, { now: new Date(Date.now() + 40 * 86_400_000) })
    return dropped.length > 0 && (await readLost(store, ['thing.happened'])) !== undefined
  }
  await until(dropsAll)
  expect(await readLost(store, ['thing.*'])).toEqual({ events: 3, from: 1n, to: 3n })
  expect(lines).toEqual([])
  const next = totals({ version: 2 })
  await bridgeWith(url, next, { log })
  expect(lines).toEqual([
    expect.stringMatching(
      /^a new version of a projection is not built: .*"gone":3,"from":"1","to":"3".*evt projection rebuild/,
    ),
  ])
  expect((await readGenerations(store)).map(({ status, version }) => [status, version])).toEqual([['live', 1]])
  expect(await read(store)).toEqual(has)
  const { version, options } = next
  await rebuildProjection(store, { name: 'thing_totals', version, tables: options.tables })
  await until(async () => (await readGenerations(store)).every(({ version }) => version === 2), { withinMs: 15_000 })
  expect(await read(store)).toEqual([])
})

it('what cannot be a projection is refused', () => {
  expect(() => totals({ name: 'Thing' })).toThrow('a name is lower-case letters')
  // The schema of its second build would be that of another projection.
  expect(() => totals({ name: 'things_g2' })).toThrow('no name ends in _g and a number')
  totals({ name: 'things_g2b' })
  expect(() => totals({ tables: {} })).toThrow('it has no tables')
  expect(() => totals({ on: ['order..*'] })).toThrow('cannot define projection "thing_totals": ')
  expect(() => totals({ tables: { 'a"b': 'x int' } })).toThrow('no lower-case name')
})
