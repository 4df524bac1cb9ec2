import { expect, it } from 'vitest'
import { z } from 'zod'
import { defineEvent } from '../../src/core/define-event.ts'
import type { EvtEvent, NewEvent } from '../../src/core/event.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import type { HandlerContext } from '../../src/handle/handler.ts'
import { createPublisher } from '../../src/index.ts'
import type { Message } from '../../src/transports/transport.ts'
import { until } from '../setup/until.ts'
import { createMortal, eventOf, messageOf, run } from './running.ts'

interface Bench {
  readonly event: EvtEvent
  readonly ctx: HandlerContext
  /** As its process's death: from now on it says nothing, gives nothing back, and nothing that it had begun is committed. */
  kill(): void
  /** What was refused after the handler had returned. */
  readonly late: string[]
}

interface Kind {
  /** Of a good event, what stands in its place on the wire. */
  readonly wire?: (good: Message) => Message
  readonly handle?: (bench: Bench) => unknown
  /** Of its dead letter; undefined when it is handled. */
  readonly dead?: readonly [reason: string, errorClass: string, says: string]
}

const never = () => new Promise(() => {})
const hostile = new Proxy(
  {},
  {
    get() {
      throw new Error('no')
    },
    getPrototypeOf() {
      throw new Error('no')
    },
  },
)
const circle: Record<string, unknown> = {}
circle.self = circle

function withoutChecksum({ 'ce-checksum': _, ...rest }: Message['headers']): Message['headers'] {
  return rest
}

const kinds: Readonly<Record<string, Kind>> = {
  undecodable: {
    wire: (good) => ({ ...good, headers: withoutChecksum(good.headers), body: Buffer.from([0xff, 0, 0x7b]) }),
    dead: ['undecodable', 'EvtError', 'cannot decode'],
  },
  'of another checksum': {
    wire: (good) => ({ ...good, body: Buffer.from(Buffer.from(good.body).toString().replace('"n":1', '"n":2')) }),
    dead: ['checksum', 'EvtError', 'checksum'],
  },
  'of another shape': {
    wire: (good) => ({
      ...messageOf(eventOf({ type: 'thing.done', id: good.id, subject: good.key ?? '', data: { n: 'one' } })),
    }),
    dead: ['contract', 'EvtError', 'thing.done'],
  },
  'of a type that nobody knows': {
    wire: (good) =>
      messageOf(eventOf({ type: 'thing.unheard', id: good.id, subject: good.key ?? '', data: { n: 1, odd: true } })),
  },
  throws: {
    handle() {
      throw new RangeError('no such thing')
    },
    dead: ['retries-exhausted', 'RangeError', 'no such thing'],
  },
  'throws nothing': {
    handle() {
      throw undefined
    },
    dead: ['retries-exhausted', 'NonError', 'thrown: undefined'],
  },
  'throws a proxy': {
    handle() {
      throw hostile
    },
    dead: ['retries-exhausted', 'Error', 'no'],
  },
  rejects: { handle: () => Promise.reject(circle), dead: ['retries-exhausted', 'NonError', 'thrown: {'] },
  hangs: { handle: never, dead: ['retries-exhausted', 'TimeoutError', 'did not finish within 400 ms'] },
  'keeps its transaction': {
    handle({ ctx, late }) {
      const again = () =>
        ctx.sql`insert into effects (subject) values ('late')`.then(
          () => late.push('taken'),
          (error) => late.push(String((error as { code?: unknown }).code)),
        )
      setTimeout(again, 20)
    },
  },
  'breaks its transaction': {
    handle: ({ ctx }) => ctx.sql`select 1/0`.catch(() => {}),
    dead: ['retries-exhausted', 'error', 'division by zero'],
  },
  'ends its transaction': {
    handle: ({ ctx }) => ctx.sql.query('commit'),
    dead: ['retries-exhausted', 'EvtError', 'the runtime ends the transaction'],
  },
  'returns garbage': { handle: () => [hostile, circle, 'x'.repeat(1_000_000), Symbol('x')] },
  'returns what throws when it is awaited': {
    handle: () => ({
      // biome-ignore lint/suspicious/noThenProperty: that is the poison
      get then() {
        throw new TypeError('not to be awaited')
      },
    }),
    dead: ['retries-exhausted', 'TypeError', 'not to be awaited'],
  },
  'returns what never settles': {
    // biome-ignore lint/suspicious/noThenProperty: that is the poison
    handle: () => ({ then() {} }),
    dead: ['retries-exhausted', 'TimeoutError', 'did not finish within 400 ms'],
  },
  'publishes its own trigger': {
    handle: ({ event, ctx }) => ctx.publish({ type: event.type, subject: event.subject ?? '', data: event.data }),
    dead: ['non-retryable', 'HopLimit', 'hop limit'],
  },
  'ends its process': {
    handle({ kill }) {
      kill()
      return never()
    },
    dead: ['process-ended', 'ProcessEnded', 'while the handler ran'],
  },
}

const ending = 'ends its process'
const done = defineEvent('thing.done', { 1: z.object({ n: z.number() }) })
const registry = createRegistry([done])

it('poison of every kind at once is handled or dies of its own cause, and the good events before and after each are handled', async () => {
  const late: string[] = []
  let deaths = 0
  let end = () => {}
  const handler = defineHandler({
    name: 'test.poisoned',
    on: ['thing.*'],
    start: 'earliest',
    concurrency: 4,
    timeout: '400ms',
    retry: { attempts: 2, initial: '5ms', max: '10ms' },
    // So many at once look like something that is broken behind the handler.
    breaker: false,
    async handle(event, ctx) {
      await ctx.sql`insert into effects (id, subject) values (${event.id}, ${event.subject})`
      const isGood = event.id.endsWith('before') || event.id.endsWith('after')
      const kind = isGood ? undefined : kinds[event.subject ?? '']
      const kill = () => {
        ctx.signal.addEventListener('abort', end)
        deaths += 1
      }
      return kind?.handle?.({ event, ctx, kill, late }) as Promise<void>
    },
  })
  // Nothing here takes back what is published by an attempt that is rolled back: it is published once all the same.
  const echoed = new Set<string>()
  const publish = async (_: unknown, events: readonly NewEvent[]) => {
    const caused = events.map((event) => eventOf({ ...event, id: `+${event.causationId}` } as never))
    for (const event of caused) {
      if (!echoed.has(event.id))
        await running.transport.publish('events', [messageOf(event)], AbortSignal.timeout(5000))
      echoed.add(event.id)
    }
    return caused.map(({ id }) => id)
  }
  const running = await run([], { registry })
  const send = async (names: readonly string[]) => {
    for (const place of ['before', 'poison', 'after'] as const) {
      const messages = names.map((name) => {
        const good = messageOf(eventOf({ type: 'thing.done', id: `${name}, ${place}`, subject: name, data: { n: 1 } }))
        return place === 'poison' ? (kinds[name]?.wire?.(good) ?? good) : good
      })
      await running.transport.publish('events', messages, AbortSignal.timeout(5000))
    }
  }
  const effects = async (name: string) =>
    (await running.rows('select id from effects where subject = $1 order by n', [name])).map(({ id }) =>
      String(id).replace(`${name}, `, ''),
    )
  const expected = (name: string) => (kinds[name]?.dead ? ['before', 'after'] : ['before', 'poison', 'after'])
  const names = Object.keys(kinds)
  const isOver = async () => {
    const [counts] = await running.rows(
      `select (select count(*) from evt.dead_letters)::int as dead, (select count(*) from effects where id like '%, after')::int as good`,
    )
    return counts?.good === names.length && counts.dead === names.filter((name) => kinds[name]?.dead).length
  }
  // Alone: what a dead process had begun of the others would count as its victims.
  await send([ending])
  for (const nth of [1, 2]) {
    const { parts, die } = createMortal(running)
    end = die
    const process = await running.another([{ ...handler, timeout: '1m' }], { ...parts, publish, registry })
    await until(() => deaths === nth, { withinMs: 15_000, what: `death ${nth}` })
    await process.stop({ graceMs: 0 })
  }
  await send(names.filter((name) => name !== ending))
  await running.another([handler], { publish, registry })
  await until(isOver, { withinMs: 20_000 })
  expect(deaths).toBe(2)
  const letters = await running.rows('select subject, reason, error_class, error_message from evt.dead_letters')
  const died = Object.fromEntries(letters.map((row) => [row.subject, [row.reason, row.error_class, row.error_message]]))
  expect(died).toEqual(
    Object.fromEntries(
      Object.entries(kinds).flatMap(([name, { dead }]) =>
        dead ? [[name, [dead[0], dead[1], expect.stringContaining(dead[2])]]] : [],
      ),
    ),
  )
  // What publishes its own trigger is handled until the last one, and that one died.
  for (const name of names.filter((one) => one !== 'publishes its own trigger'))
    expect([name, await effects(name)]).toEqual([name, expected(name)])
  const echoes = await effects('publishes its own trigger')
  expect([echoes.length, echoes[0], echoes.filter((id) => id === 'after')]).toEqual([34, 'before', ['after']])
  await until(() => late.length > 0)
  expect(late).toEqual(['fenced'])
  expect(await running.rows('select * from evt.deliveries')).toEqual([])
  expect(await running.rows('select * from evt.suspects')).toEqual([])
})

it('a type that nobody knows is refused where it would be published, with the types that are known', async () => {
  const running = await run([])
  const publisher = createPublisher({ store: running.store, registry, source: 'test' })
  const outcome = await publisher.send({ type: 'thing.unheard', data: {} } as never)
  expect(outcome).toMatchObject({
    state: 'refused',
    error: { code: 'unknown-type', hint: expect.stringContaining('thing.done') },
  })
  await publisher.close()
  expect(await running.rows('select * from evt.outbox')).toEqual([])
})
