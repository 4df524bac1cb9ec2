import { describe, expect, it, onTestFinished } from 'vitest'
import { type Bridge, createBridge } from '../../src/bridge.ts'
import { encodeEvent } from '../../src/core/codec.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import type { HandlerDefinition } from '../../src/handle/handler.ts'
import { publishEncoded } from '../../src/store/outbox.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { eventOf } from './running.ts'

const subjects = 20

async function open() {
  const { store, url } = await createTestDatabase({ max: 12 })
  await store.query(
    'create table effects (n bigint generated always as identity, id text, subject text, sequence bigint)',
  )
  const publish = async (from: number, count: number) => {
    const events = Array.from({ length: count }, (_, at) => {
      const n = from + at
      return encodeEvent(
        eventOf({ type: 'thing.done', subject: `s${n % subjects}`, sequence: Math.floor(n / subjects) + 1 }),
      )
    })
    await publishEncoded(store, events)
  }
  const start = async (
    handlers: readonly HandlerDefinition[],
    roles: ('relay' | 'handlers')[] = ['relay', 'handlers'],
  ): Promise<Bridge> => {
    const bridge = createBridge({ store: url, handlers, registry: createRegistry([]), roles, grace: '2s' })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    return bridge
  }
  const rows = async (text: string) => [...(await store.query(text)).rows]
  const count = async (table: string) => Number((await rows(`select count(*)::int as n from ${table}`))[0]?.n)
  const orders = () => rows('select array_agg(sequence::int order by n) as seen from effects group by subject')
  return { store, publish, start, rows, count, orders }
}

const ledger = (
  fails: (event: { readonly sequence?: number }, attempt: number) => boolean = () => false,
  extra: Partial<HandlerDefinition> = {},
) => ({
  ...defineHandler({
    name: 'test.ledger',
    on: ['thing.*'],
    start: 'earliest',
    retry: { attempts: 5, initial: '5ms', max: '20ms' },
    // Its failures come for all subjects at once.
    breaker: false,
    async handle(event, ctx) {
      await ctx.sql`insert into effects (id, subject, sequence) values (${event.id}, ${event.subject}, ${event.sequence})`
      if (fails(event, ctx.attempt)) throw new Error('not now')
    },
  }),
  ...extra,
})

const expected = (total: number) => Array.from({ length: total / subjects }, (_, n) => n + 1)

describe('handlers on the log', () => {
  it('keep the order of subjects and the effect once, while two processes fail, retry, come and go', async () => {
    const { publish, start, count, orders, rows } = await open()
    const handler = ledger((event, attempt) => attempt === 1 && (event.sequence ?? 0) % 17 === 3)
    const total = 1600
    await start([handler])
    const churn = async () => {
      for (let round = 0; round < 2; round++) {
        const other = await start([handler], ['handlers'])
        await until(async () => (await count('effects')) > (round + 1) * 300, { withinMs: 15_000 })
        await other.stop()
      }
    }
    const feed = async () => {
      for (let from = 0; from < total; from += 200) await publish(from, 200)
    }
    await Promise.all([feed(), churn()])
    await until(async () => (await count('effects')) === total, { withinMs: 15_000 })
    for (const { seen } of await orders()) expect(seen).toEqual(expected(total))
    await until(async () => (await count('evt.parked_subjects')) === 0)
    expect(await rows('select * from evt.deliveries')).toEqual([])
    expect(await rows('select * from evt.dead_letters')).toEqual([])
  })

  it('lose nothing and do nothing twice while their connections are cut at every moment', async () => {
    const { store, publish, start, count, orders, rows } = await open()
    const total = 1200
    const bridge = await start([ledger(), ledger(undefined, { name: 'test.quiet', transaction: 'event', handle() {} })])
    let cuts = 0
    const cut = async () => {
      const { rows: gone } = await store.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and application_name like 'evt handlers%' and random() < 0.5`,
      )
      cuts += gone.length
    }
    for (let from = 0; from < total; from += 100) {
      await publish(from, 100)
      for (const seen of [1, 30, 60]) {
        await until(async () => (await count('effects')) >= from + seen, { withinMs: 15_000 })
        await cut()
      }
    }
    expect(cuts).toBeGreaterThan(10)
    await until(async () => (await count('effects')) === total && bridge.stats().handlers[1]?.queued === 0, {
      withinMs: 15_000,
    })
    for (const { seen } of await orders()) expect(seen).toEqual(expected(total))
    // A lost connection is no failure of an event: nothing was counted.
    expect(await rows('select * from evt.deliveries')).toEqual([])
    expect(await rows('select * from evt.dead_letters')).toEqual([])
    expect(bridge.stats().handlers[0]?.failed).toBe(0)
  })

  it('retry serialization failures at once, without counting them', async () => {
    const { publish, start, count, rows } = await open()
    let spoiled = 0
    const handler = ledger(undefined, {
      async handle(event, ctx) {
        await ctx.sql`insert into effects (id) values (${event.id})`
        if (event.sequence === 2 && spoiled++ < 3)
          await ctx.sql.query(`do $$ begin raise exception using errcode = '40001'; end $$`)
      },
    })
    const bridge = await start([handler])
    await publish(0, 100)
    await until(async () => (await count('effects')) === 100)
    expect(bridge.stats().handlers[0]).toMatchObject({ handled: 100, failed: 0 })
    expect(await rows('select * from evt.deliveries')).toEqual([])
  })

  it('stop within the grace: what runs finishes, what hangs is rolled back and comes again elsewhere', async () => {
    const { publish, start, count, orders } = await open()
    let hang = true
    const handler = ledger(undefined, {
      async handle(event, ctx) {
        await ctx.sql`insert into effects (id, subject, sequence) values (${event.id}, ${event.subject}, ${event.sequence})`
        if (hang && event.sequence === 3) await new Promise(() => {})
      },
    })
    const bridge = await start([handler])
    await publish(0, 100)
    await until(() => (bridge.stats().handlers[0]?.inFlight ?? 0) > 0)
    const began = performance.now()
    await bridge.stop()
    expect(performance.now() - began).toBeLessThan(20_000)
    hang = false
    await start([handler])
    await until(async () => (await count('effects')) === 100, { withinMs: 15_000 })
    for (const { seen } of await orders()) expect(seen).toEqual(expected(100))
  })

  it('pause and resume by a switch for all processes', async () => {
    const { store, publish, start, count } = await open()
    const bridge = await start([ledger()])
    await store.query(
      `insert into evt.handler_switches (handler, paused, changed_by) values ('test.ledger', true, 'test')`,
    )
    await until(() => bridge.stats().handlers[0]?.paused)
    await publish(0, 100)
    await until(() => (bridge.stats().handlers[0]?.queued ?? 0) === 100)
    expect(await count('effects')).toBe(0)
    await store.query('update evt.handler_switches set paused = false')
    await until(async () => (await count('effects')) === 100)
  })
})
