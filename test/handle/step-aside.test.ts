import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import {
  createBridge,
  createPublisher,
  createRegistry,
  defineEvent,
  defineHandler,
  defineService,
} from '../../src/index.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

const before = defineEvent('thing.done', { 1: z.object({ name: z.string() }) })
const after = defineEvent('thing.done', {
  1: z.object({ name: z.string() }),
  2: {
    schema: z.object({ name: z.string(), size: z.number() }),
    upcast: (data: { name: string }) => ({ ...data, size: 0 }),
  },
})

/** What the newer one says of itself. */
const newerOne = { isWell: true }

const handlerOf = (contract: typeof before | typeof after, by: string) =>
  defineHandler({
    name: 'things.note',
    on: [contract],
    start: 'earliest',
    check: () => by === 'older' || newerOne.isWell,
    checkInterval: '1s',
    async handle(event, { sql }) {
      await sql`insert into noted (name, version, by) values (${event.data.name}, ${event.version}, ${by})`
    },
  })

const serviceOf = (contract: typeof before | typeof after, by: string) =>
  defineService({ name: 'things', contracts: [contract], handlers: [handlerOf(contract, by)] })

async function twoBridges() {
  const { store, url } = await createTestDatabase()
  await store.query('create table noted (n bigint generated always as identity, name text, version int, by text)')
  const said: string[] = []
  const log = { debug() {}, info: (message: string) => void said.push(message), warn() {}, error() {} }
  const start = async (contract: typeof before | typeof after, by: string) => {
    const bridge = createBridge({ store: url, services: [serviceOf(contract, by)], instance: by, log })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    return bridge
  }
  const send = async (contract: typeof before | typeof after, ...events: { readonly name: string }[]) => {
    const publisher = createPublisher({ store: url, registry: createRegistry([contract]), source: 'test' })
    await publisher.publishAll(events.map((data) => ({ type: 'thing.done', subject: data.name, data }) as never))
    await publisher.close()
  }
  const noted = async (name: string) =>
    (await store.query('select version, by from noted where name like $1 order by n', [`${name} %`])).rows
  const waiting = async () => (await store.query('select held_for from evt.deliveries')).rows
  const beatAt = async () =>
    (await store.query("select beat_at::text from evt.instances where instance = 'newer'")).rows[0]?.beat_at
  return {
    ...{ start, send, noted, waiting, said },
    sendEarly: async (count: number) => {
      await send(after, ...Array.from({ length: count }, (_, n) => ({ name: `early ${n}`, size: n })))
      await until(async () => (await waiting()).filter(({ held_for }) => held_for !== null).length === count)
    },
    sendBefore: (name: string) => send(before, ...Array.from({ length: 40 }, (_, n) => ({ name: `${name} ${n}` }))),
    async beats(count: number) {
      for (let n = 0; n < count; n++) {
        const last = await beatAt()
        await until(async () => (await beatAt()) !== last, { withinMs: 20_000 })
      }
    },
  }
}

const bySet = (rows: readonly Record<string, unknown>[]) => new Set(rows.map(({ by }) => by))

it('an event of a version that only a newer bridge knows is handled there while the older one still runs', async () => {
  const { start, send, sendEarly, noted, waiting, sendBefore, said } = await twoBridges()
  await start(before, 'older')
  await sendEarly(6)
  const newer = await start(after, 'newer')
  await until(async () => (await noted('early')).length === 6, { withinMs: 20_000 })
  expect(new Set((await noted('early')).map(({ version, by }) => `${version} ${by}`))).toEqual(new Set(['2 newer']))
  await until(async () => (await waiting()).length === 0)
  await sendBefore('beside')
  await until(async () => (await noted('beside')).length === 40, { withinMs: 20_000 })
  expect(bySet(await noted('beside'))).toEqual(new Set(['older', 'newer']))

  newer.pause('things.note')
  await until(() => said.includes('takes lanes again'), { withinMs: 20_000 })
  await newer.stop()
  await send(before, ...Array.from({ length: 6 }, (_, n) => ({ name: `late ${n}` })))
  await until(async () => (await noted('late')).length === 6, { withinMs: 20_000 })
  expect(bySet(await noted('late'))).toEqual(new Set(['older']))
})

it('an older bridge keeps its lanes while the newer one cannot work', async () => {
  const { start, sendEarly, noted, said, beats, sendBefore } = await twoBridges()
  newerOne.isWell = false
  onTestFinished(() => {
    newerOne.isWell = true
  })
  await start(before, 'older')
  await sendEarly(40)
  await start(after, 'newer')
  await beats(2)
  await sendBefore('old')
  await until(async () => (await noted('old')).length > 0)
  expect(said).not.toContain('gives lanes to a bridge that knows the contract')

  newerOne.isWell = true
  await until(async () => (await noted('early')).length === 40, { withinMs: 20_000 })
  await until(async () => (await noted('old')).length === 40, { withinMs: 20_000 })
})
