import { expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../../src/bridge.ts'
import { chooseHandlers } from '../../src/commands/replay/choose.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createEventBus } from '../../src/event-bus.ts'
import { defineBatchHandler } from '../../src/handle/define-batch-handler.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { defineService } from '../../src/handle/define-service.ts'
import type { Middleware } from '../../src/handle/handler.ts'
import { resolveHandler } from '../../src/handle/handler-config.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { run } from './running.ts'

/** Notes where it is; its parts are written in the wrong order. */
function noting(who: string, seen: string[]): Middleware {
  return {
    after: (events) => void seen.push(`${who} after ${events.length}`),
    async around(_events, _ctx, next) {
      seen.push(`${who} around`)
      const handled = await next()
      seen.push(`${who} around ends`)
      return handled
    },
    before: async (events) => void seen.push(`${who} before ${events.length}`),
  }
}

const inOrder = (count: number, ...levels: readonly string[]) => [
  ...levels.map((who) => `${who} before ${count}`),
  ...levels.map((who) => `${who} around`),
  'handler',
  ...levels.toReversed().map((who) => `${who} around ends`),
  ...levels.toReversed().map((who) => `${who} after ${count}`),
]

it('parts run in one order: the bridge’s outside, then the service’s, then the handler’s own', async () => {
  const { store, url } = await createTestDatabase()
  const seen: string[] = []
  const own = { use: noting('own', seen), on: ['thing.*'], start: 'earliest', name: 'test.one' } as const
  const service = defineService({
    name: 'test',
    contracts: [],
    use: noting('service', seen),
    handlers: [defineHandler({ ...own, handle: () => void seen.push('handler') })],
  })
  const bridge = createBridge({
    store: url,
    registry: createRegistry([]),
    services: [service],
    use: noting('bridge', seen),
  })
  onTestFinished(() => bridge.stop())
  await store.query(`select evt.publish('thing.made', '{}', 's/1')`)
  await bridge.start()
  await until(() => bridge.stats().handlers[0]?.handled === 1)
  expect(seen).toEqual(inOrder(1, 'bridge', 'service', 'own'))
  // A replay runs the handlers of services too.
  const [replayed] = chooseHandlers([service], { handler: ['test.one'] })
  seen.length = 0
  await resolveHandler(replayed as NonNullable<typeof replayed>).handle({} as never, {} as never)
  expect(seen).toEqual(inOrder(1, 'service', 'own'))
})

it('works in the handler’s transaction: what it writes commits with the handler, or not at all; duplicates do not reach it', async () => {
  const seen: string[] = []
  const write =
    (what: string): NonNullable<Middleware['before']> =>
    async (events, ctx) => {
      seen.push(`${what} ${events[0]?.id}`)
      await ctx.sql`insert into effects (handler, id) values (${what}, ${events[0]?.id})`
    }
  const handler = defineHandler({
    name: 'test.writing',
    on: ['thing.*'],
    start: 'earliest',
    retry: { attempts: 1 },
    use: {
      before: write('before'),
      async after(events, ctx) {
        await write('after')(events, ctx)
        if (events[0]?.id === 'refused') throw new Error('not that one')
      },
    },
    async handle(event, ctx) {
      await ctx.sql`insert into effects (handler, id) values ('handler', ${event.id})`
    },
  })
  const running = await run([handler])
  await running.publish({ type: 'thing.made', id: 'good' }, { type: 'thing.made', id: 'refused' })
  await until(async () => (await running.rows('select 1 from evt.dead_letters')).length === 1)
  await until(() => running.recorder.sample().handlers[0]?.handled === 1)
  expect(await running.rows('select handler, id from effects order by n')).toEqual(
    ['before', 'handler', 'after'].map((what) => ({ handler: what, id: 'good' })),
  )
  await running.store.query(
    `insert into evt.inbox (handler, event_id, day) select handler, 'again', day from evt.inbox limit 1`,
  )
  await running.publish({ type: 'thing.made', id: 'again' })
  await until(() => running.recorder.sample().handlers[0]?.skipped === 1)
  expect(seen.filter((one) => one.endsWith('again'))).toEqual([])
})

it('without a store the bus’s is outside, and a batch is one call', async () => {
  const seen: string[] = []
  const handler = defineBatchHandler({
    name: 'test.batch',
    on: ['thing.*'],
    batch: 10,
    use: noting('own', seen),
    handle: () => void seen.push('handler'),
  })
  const bus = createEventBus({ url: 'memory://direct-middleware', handlers: [handler], use: noting('bus', seen) })
  onTestFinished(() => bus.stop())
  await bus.start()
  bus.pause('test.batch')
  await bus.publishAll(Array.from({ length: 4 }, () => ({ type: 'thing.made', subject: 'one', data: {} })))
  await until(() => bus.stats().handlers[0]?.queued === 4)
  bus.resume('test.batch')
  await until(() => bus.stats().handlers[0]?.handled === 4)
  expect(seen).toEqual(inOrder(4, 'bus', 'own'))
})

it.each([
  ['throws before', { before: () => Promise.reject(new Error('no')) }, 'no'],
  ['passes the handler over', { around: async () => ({}) as never }, 'did not return what next() resolves to'],
  ['keeps what next() said', { around: async (_e, _c, next) => void (await next()) as never }, 'did not return what'],
  ['goes on twice', { around: async (_e, _c, next) => (await next()) && next() }, 'called next() twice'],
] satisfies [string, Middleware, string][])('one that %s fails the attempt', async (_, use, reason) => {
  const { handle } = resolveHandler({ name: 'test.one', on: ['a.*'], use, handle() {} })
  await expect(handle({} as never, {} as never)).rejects.toThrow(reason)
})

it.each([
  [[{ before() {} }], 'use is no middleware'],
  [{ first() {} }, 'use.first is no part of a middleware'],
  [{ before: true }, 'use.before is no function'],
])('refuses %j, at a handler and at a bridge', async (use, reason) => {
  const definition = { name: 'test.one', on: ['a.*'], handle() {} }
  expect(() => resolveHandler({ ...definition, use: use as never })).toThrow(reason)
  const bus = createEventBus({ url: 'memory://direct-middleware-wrong', use: use as never })
  onTestFinished(() => bus.stop())
  await bus.start()
  await expect(bus.handle(definition)).rejects.toThrow(reason)
})
