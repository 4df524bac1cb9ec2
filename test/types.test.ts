// What an application's compiler tells of wrong code: tsc checks this file, and every expected error has to be one.
import { expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import {
  createPublisher,
  createRegistry,
  defineBatchHandler,
  defineEvent,
  defineHandler,
  defineProjection,
  defineSaga,
  type EventBus,
  type EvtEvent,
  type HttpOptions,
  type Middleware,
  type PublishOutcome,
  publishersOf,
  sensitive,
} from '../src/index.ts'
import type { HandlerResult, waitForEvents } from '../src/testing.ts'

const userCreated = defineEvent('user.created', {
  1: z.object({ name: z.string() }),
  2: {
    schema: z.object({ first: z.string(), age: z.number().optional() }),
    upcast: ({ name }) => ({ first: name }),
  },
})
const orderPaid = defineEvent('order.paid', { 1: z.object({ total: z.number() }) })
const cardAdded = defineEvent('card.added', { 1: z.object({ pan: sensitive(z.string(), { encrypt: true }) }) })

it('a handler gets the data of the version that it names', () => {
  const handler = defineHandler({
    name: 'types.latest',
    on: [userCreated],
    handle(event) {
      expectTypeOf(event.data).toEqualTypeOf<{ first: string; age?: number | undefined }>()
      // @ts-expect-error a field of version 1 is not in version 2
      event.data.name
    },
  })
  defineHandler({
    name: 'types.first',
    on: [userCreated.v1],
    handle: (event) => void expectTypeOf(event.data).toEqualTypeOf<{ name: string }>(),
  })
  defineHandler({
    name: 'types.either',
    on: [userCreated, orderPaid],
    handle: ({ data }) =>
      void expectTypeOf(data).toEqualTypeOf<{ first: string; age?: number | undefined } | { total: number }>(),
  })
  defineBatchHandler({
    name: 'types.batch',
    on: [orderPaid],
    batch: 10,
    handle: (events) => void expectTypeOf(events).toEqualTypeOf<readonly EvtEvent<{ total: number }>[]>(),
  })
  defineHandler({
    name: 'types.pattern',
    on: ['user.*'],
    handle: ({ data }) => void expectTypeOf(data).toEqualTypeOf<unknown>(),
  })
  expect(handler.name).toBe('types.latest')
})

it('middleware has no order that could be wrong, and cannot pass over the handler', () => {
  const use: Middleware = { after() {}, around: (_events, _ctx, next) => next(), before() {} }
  const handler = defineHandler({ name: 'types.use', on: [orderPaid], use, handle() {} })
  // @ts-expect-error a list would have an order
  defineHandler({ name: 'types.list', on: [orderPaid], use: [use, use], handle() {} })
  // @ts-expect-error there is no place of that name: before the inbox, or outside of the time-out
  const elsewhere: Middleware = { beforeInbox() {} }
  // @ts-expect-error the handler did not run
  const silent: Middleware = { async around() {} }
  // @ts-expect-error nothing but next() says that it ran
  const claiming: Middleware = { around: async () => ({}) }
  // @ts-expect-error what next() says has to go on to who is outside
  const swallowing: Middleware = { around: async (_events, _ctx, next) => void (await next()) }
  expect([handler.use, elsewhere, silent, claiming, swallowing]).toHaveLength(5)
})

it('data that was erased is to be reckoned with', () => {
  defineHandler({
    name: 'types.erased',
    on: [cardAdded],
    handle({ data }) {
      expectTypeOf(data.pan).toEqualTypeOf<string | null>()
      // @ts-expect-error it is null when the subject's key was deleted
      data.pan?.length.toFixed() satisfies string
    },
  })
})

it('an upcast makes the next version of the one before', () => {
  const wrongResult = () =>
    defineEvent('a.b', {
      1: z.object({ a: z.string() }),
      // @ts-expect-error version 2 has a number
      2: { schema: z.object({ b: z.number() }), upcast: ({ a }) => ({ b: a }) },
    })
  const wrongField = () =>
    defineEvent('a.b', {
      1: z.object({ a: z.string() }),
      // @ts-expect-error version 1 has no such field
      2: { schema: z.object({ b: z.string() }), upcast: ({ c }) => ({ b: c }) },
    })
  expect([wrongResult, wrongField]).toHaveLength(2)
})

it('a publisher without a store has no transactions', () => {
  const direct = createPublisher({ url: 'memory://types', source: 'types' })
  expectTypeOf(direct.send).returns.toEqualTypeOf<Promise<PublishOutcome>>()
  const wrong = [
    // @ts-expect-error there is no store
    () => direct.publish,
    // @ts-expect-error a store or a broker
    () => createPublisher({ source: 'types', store: 'postgres://nowhere', url: 'memory://types' }),
  ]
  expect(wrong).toHaveLength(2)
})

it('typed publishers take what their contract takes', () => {
  const publisher = createPublisher({ store: 'postgres://nowhere', registry: createRegistry([]), source: 'types' })
  const publish = publishersOf(publisher.send, { userCreated, first: userCreated.v1, orderPaid })
  expectTypeOf(publish.orderPaid).parameter(0).toEqualTypeOf<{ total: number }>()
  expectTypeOf(publish.first).parameter(0).toEqualTypeOf<{ name: string }>()
  expectTypeOf(publish.orderPaid).returns.toEqualTypeOf<Promise<PublishOutcome>>()
  const wrong = [
    // @ts-expect-error a number
    () => publish.orderPaid({ total: '1' }),
    // @ts-expect-error a field is missing
    () => publish.userCreated({ age: 3 }),
    // @ts-expect-error a field too many
    () => publish.userCreated({ first: 'Ada', name: 'Ada' }),
    // @ts-expect-error no such contract
    () => publish.userDeleted({}),
    // @ts-expect-error the type is the contract's
    () => publish.orderPaid({ total: 1 }, { type: 'order.other' }),
    // @ts-expect-error no such priority
    () => publish.orderPaid({ total: 1 }, { priority: 'urgent' }),
  ]
  expect(wrong).toHaveLength(6)
})

it('what became of an event has an error exactly where it has none of its kind', () => {
  const told = (outcome: PublishOutcome) => {
    // @ts-expect-error a stored event has none
    if (outcome.state === 'stored') return outcome.error
    return 'error' in outcome ? outcome.error.hint : outcome.id
  }
  expect(told({ state: 'duplicate', id: 'a' })).toBe('a')
})

it('the steps of a saga share its state, and get the data of what they await', () => {
  const state = z.object({ name: z.string(), total: z.number().optional() })
  defineSaga({
    name: 'types.saga',
    startsOn: userCreated,
    state,
    begin: ({ data }) => ({ name: data.first }),
    steps: ({ step, parallel }) => [
      step('pay', {
        awaits: orderPaid,
        on(saga, event) {
          saga.total = event.data.total
          // @ts-expect-error the state has no such field
          saga.sum = 1
          // @ts-expect-error the event has no such field
          event.data.sum
        },
      }),
      parallel([step('thank', { run: ({ name }, ctx) => ctx.publish({ type: 'user.thanked', data: { name } }) })]),
    ],
    onFailed: (saga, { reason }) => expectTypeOf([saga.name, reason]).toEqualTypeOf<string[]>(),
  })
  const wrong = () =>
    defineSaga({
      name: 'types.wrong',
      startsOn: userCreated,
      state,
      // @ts-expect-error the state needs a name
      begin: ({ data }) => ({ first: data.first }),
      steps: ({ step }) => [step('one', { run: () => {} })],
    })
  expect(wrong).toBeTypeOf('function')
})

it('a projection writes what its events say', () => {
  const projection = defineProjection({
    name: 'types_totals',
    on: [orderPaid],
    tables: { totals: 'total numeric' },
    async apply(event, { sql }) {
      expectTypeOf(event.data.total).toEqualTypeOf<number>()
      await sql`insert into totals values (${event.data.total})`
    },
  })
  expect(projection.name).toBe('types_totals')
})

it('a subscription and a wait are typed by their contract', () => {
  const uses = async (bus: EventBus, wait: typeof waitForEvents) => {
    await bus.subscribe(orderPaid, ({ data }) => expectTypeOf(data).toEqualTypeOf<{ total: number }>())
    await bus.subscribe('order.*', ({ data }) => expectTypeOf(data).toEqualTypeOf<unknown>())
    // @ts-expect-error a pattern says nothing of the data
    await bus.subscribe('order.*', ({ data }) => data.total)
    expectTypeOf(await wait(bus, orderPaid)).toEqualTypeOf<EvtEvent<{ total: number }>[]>()
    // @ts-expect-error the contract has no such field
    await wait(bus, orderPaid, { where: ({ data }) => data.sum > 1 })
  }
  expect(uses).toBeTypeOf('function')
  expectTypeOf<HandlerResult['state']>().toEqualTypeOf<'handled' | 'retried' | 'dead' | 'interrupted'>()
})

it('options are closed: a mistyped one does not compile', () => {
  // @ts-expect-error it is port
  const http: HttpOptions = { prot: 80 }
  expect(http).toBeDefined()
  // @ts-expect-error a handler has no such field
  const handler = () => defineHandler({ name: 'types.typo', on: ['user.*'], handle() {}, retries: 3 })
  expect(handler).toBeTypeOf('function')
})
