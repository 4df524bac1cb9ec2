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

const handlerOf = (contract: typeof before | typeof after, by: string) =>
  defineHandler({
    name: 'things.note',
    on: [contract],
    start: 'earliest',
    async handle(event, { sql }) {
      await sql`insert into noted (name, version, by) values (${event.data.name}, ${event.version}, ${by})`
    },
  })

const serviceOf = (contract: typeof before | typeof after, by: string) =>
  defineService({ name: 'things', contracts: [contract], handlers: [handlerOf(contract, by)] })

it('an event of a version that only a newer bridge knows is handled there while the older one still runs', async () => {
  const { store, url } = await createTestDatabase()
  await store.query('create table noted (n bigint generated always as identity, name text, version int, by text)')
  const start = async (contract: typeof before | typeof after, by: string) => {
    const bridge = createBridge({ store: url, services: [serviceOf(contract, by)], instance: by })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    return bridge
  }
  const send = async (contract: typeof before | typeof after, ...events: { readonly name: string }[]) => {
    const publisher = createPublisher({ store: url, registry: createRegistry([contract]), source: 'test' })
    await publisher.publishAll(events.map((data) => ({ type: 'thing.done', subject: data.name, data }) as never))
    await publisher.close()
  }
  const noted = async () => (await store.query('select name, version, by from noted order by n')).rows
  const waiting = async () => (await store.query('select held_for from evt.deliveries')).rows
  await start(before, 'older')
  await send(after, ...Array.from({ length: 6 }, (_, n) => ({ name: `early ${n}`, size: n })))
  await until(async () => (await waiting()).filter(({ held_for }) => held_for !== null).length === 6)

  const newer = await start(after, 'newer')
  await until(async () => (await noted()).length === 6, { withinMs: 20_000 })
  expect(new Set((await noted()).map(({ version, by }) => `${version} ${by}`))).toEqual(new Set(['2 newer']))
  await until(async () => (await waiting()).length === 0)

  await newer.stop()
  await send(before, { name: 'late' })
  await until(async () => (await noted()).length === 7, { withinMs: 20_000 })
  expect((await noted()).at(-1)).toEqual({ name: 'late', version: 1, by: 'older' })
})
