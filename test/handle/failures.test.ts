import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineEvent } from '../../src/core/define-event.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import type { HandlerContext, HandlerDefinition } from '../../src/handle/handler.ts'
import { until } from '../setup/until.ts'
import { eventOf, messageOf, type Running, run } from './running.ts'

const quick = { attempts: 2, initial: '5ms', max: '10ms' } as const

const deadOf = async (running: Running, count = 1) =>
  until(async () => {
    const rows = await running.rows('select * from evt.dead_letters order by id')
    return rows.length >= count ? rows : undefined
  })

function failing(thrown: () => unknown, extra: Partial<HandlerDefinition> = {}): HandlerDefinition {
  return {
    name: 'test.failing',
    on: ['thing.*'],
    start: 'earliest',
    retry: quick,
    handle() {
      throw thrown()
    },
    ...extra,
  }
}

describe('what a handler throws', () => {
  const circular: Record<string, unknown> = {}
  circular.self = circular
  const hostile = Object.defineProperty(new Error('x'), 'message', {
    get() {
      throw new Error('no')
    },
  })
  const cases: readonly (readonly [string, () => unknown])[] = [
    ['undefined', () => undefined],
    ['a text', () => 'no'],
    ['a circle', () => circular],
    ['an error whose message throws', () => hostile],
    ['50 MB', () => new Error('x'.repeat(50_000_000))],
    ['a NUL and half a surrogate', () => new Error('a\u0000b\uD800c')],
    [
      'a proxy that refuses',
      () =>
        new Proxy(
          {},
          {
            get: () => {
              throw new Error('no')
            },
            getPrototypeOf: () => {
              throw new Error('no')
            },
          },
        ),
    ],
  ]
  it('becomes a bounded row whatever it is, and others are handled', async () => {
    const running = await run([
      failing(() => undefined, {
        async handle(event, ctx) {
          const thrown = cases[event.data.at as number]
          if (thrown) throw thrown[1]()
          await ctx.sql`insert into effects (id) values (${event.id})`
        },
      }),
    ])
    await running.publish(
      ...Array.from({ length: 30 }, (_, at) => ({ type: 'thing.done', subject: `s${at}`, data: { at } })),
    )
    const rows = await deadOf(running, cases.length)
    for (const row of rows) expect(JSON.stringify(row.attempts).length).toBeLessThan(30_000)
    await until(async () => (await running.rows('select * from effects')).length === 30 - cases.length)
  })

  it('is not retried when its class, its code or evt says that it is hopeless', async () => {
    class Invalid extends Error {}
    class VeryInvalid extends Invalid {}
    let calls = 0
    const running = await run([
      failing(() => undefined, {
        nonRetryable: ['Invalid', 'E_GONE'],
        handle(event) {
          calls += 1
          throw event.data.at === 0 ? new VeryInvalid('no') : Object.assign(new Error('gone'), { code: 'E_GONE' })
        },
      }),
    ])
    await running.publish(...[0, 1].map((at) => ({ type: 'thing.done', subject: `s${at}`, data: { at } })))
    const rows = await deadOf(running, 2)
    expect(rows.map(({ reason, error_class, error_code }) => ({ reason, error_class, error_code }))).toEqual(
      expect.arrayContaining([
        { reason: 'non-retryable', error_class: 'VeryInvalid', error_code: null },
        { reason: 'non-retryable', error_class: 'Error', error_code: 'E_GONE' },
      ]),
    )
    expect(calls).toBeLessThanOrEqual(2)
  })
})

describe('what cannot be read', () => {
  const done = defineEvent('thing.done', {
    1: z.object({ n: z.number() }),
    2: { schema: z.object({ n: z.number(), twice: z.number() }), upcast: (old) => ({ ...old, twice: old.n * 2 }) },
  })
  const effects = (on: HandlerDefinition['on']) =>
    defineHandler({
      name: 'test.effects',
      on,
      start: 'earliest',
      retry: quick,
      async handle(event, ctx) {
        await ctx.sql`insert into effects (id, subject, sequence) values (${event.id}, ${event.subject}, ${(event.data as { twice?: number }).twice ?? null})`
      },
    })

  it('is a dead letter with its raw bytes, never a crash', async () => {
    const running = await run([effects([done])], { registry: createRegistry([done]) })
    const good = messageOf(eventOf({ type: 'thing.done', subject: 'a', data: { n: 1 } }))
    const notJson = {
      ...messageOf(eventOf({ type: 'thing.done', subject: 'b' })),
      body: Buffer.from([0xff, 0x00, 0x7b]),
    }
    const { 'ce-checksum': _, ...unchecked } = notJson.headers
    const broken = { ...notJson, id: 'broken', headers: { ...unchecked, 'ce-id': 'broken' } }
    const flipped = {
      ...messageOf(eventOf({ type: 'thing.done', subject: 'c', data: { n: 1 } })),
      body: Buffer.from('{"n":2}'),
    }
    const unfit = messageOf(eventOf({ type: 'thing.done', subject: 'd', data: { n: 'one' } }))
    await running.transport.publish('events', [notJson, broken, flipped, unfit, good], AbortSignal.timeout(1000))
    const rows = await deadOf(running, 4)
    expect(Object.fromEntries(rows.map((row) => [row.subject, row.reason]))).toEqual({
      b: expect.stringMatching('undecodable|checksum'),
      c: 'checksum',
      d: 'contract',
    })
    expect(rows.find(({ event_id }) => event_id === 'broken')).toMatchObject({
      reason: 'undecodable',
      body: Buffer.from([0xff, 0x00, 0x7b]),
    })
    await until(async () => (await running.rows('select sequence::int from effects'))[0]?.sequence === 2)
    expect(
      await running.rows('select count(*)::int as n from event_store.dead_letter_queue where event_name = $1', [
        'thing.done',
      ]),
    ).toEqual([{ n: 4 }])
  })

  it('waits, when its version is from the future, until a process knows it; in order', async () => {
    const running = await run([effects([done.v1])], { registry: createRegistry([done]) })
    const [old, next] = await running.publish(
      { type: 'thing.done', version: 2, subject: 'a', data: { n: 1, twice: 5 } },
      { type: 'thing.done', subject: 'a', data: { n: 4 } },
    )
    await until(async () => (await running.rows('select held_for from evt.deliveries order by rank')).length === 2)
    expect(await running.rows('select held_for from evt.deliveries order by rank')).toEqual([
      { held_for: 'thing.done@2' },
      { held_for: null },
    ])
    await running.subscribers.stop()
    await running.another([effects([done])], { registry: createRegistry([done]) })
    await until(async () => (await running.rows('select * from effects')).length === 2)
    expect(await running.rows('select id, sequence::int from effects order by n')).toEqual([
      { id: old?.id, sequence: 5 },
      { id: next?.id, sequence: 8 },
    ])
    expect(await running.rows('select * from evt.dead_letters')).toEqual([])
  })
})

describe('the time of a handler', () => {
  it('ends at its timeout: it is fenced, its transaction gone, and the worker goes on', async () => {
    const late: unknown[] = []
    let context: HandlerContext | undefined
    const running = await run([
      failing(() => undefined, {
        timeout: '60ms',
        concurrency: 1,
        async handle(event, ctx) {
          await ctx.sql`insert into effects (id) values (${event.id})`
          if (event.data.hang !== true) return
          context = ctx
          await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve))
          // Never settles; what it tries afterwards has no effect.
          await ctx.sql`insert into effects (id) values ('late')`.catch((error) => late.push(error))
          await new Promise(() => {})
        },
      }),
    ])
    const [hanging, fine] = await running.publish(
      { type: 'thing.done', subject: 'a', data: { hang: true } },
      { type: 'thing.done', subject: 'b' },
    )
    const [dead] = await deadOf(running)
    expect(dead).toMatchObject({ event_id: hanging?.id, error_class: 'TimeoutError' })
    expect(dead?.attempts).toHaveLength(2)
    await until(async () => (await running.rows('select id from effects')).length === 1)
    expect(await running.rows('select id from effects')).toEqual([{ id: fine?.id }])
    expect(late).toMatchObject([{ code: 'fenced' }, { code: 'fenced' }])
    await expect(context?.sql.query('select 1')).rejects.toMatchObject({ code: 'fenced' })
  })

  it('ends also in the middle of a statement, whose locks go at once', async () => {
    const running = await run([
      failing(() => undefined, {
        timeout: '80ms',
        async handle(event, ctx) {
          await ctx.sql`insert into effects (id) values (${event.id})`
          await ctx.sql`select pg_sleep(20)`
        },
      }),
    ])
    await running.publish({ type: 'thing.done', subject: 'a' })
    await deadOf(running)
    expect(await running.rows('select * from effects')).toEqual([])
  })
})

describe('the transaction of a handler', () => {
  it('is not the handler’s to end, and an SQL error that it swallows is its failure', async () => {
    const running = await run([
      failing(() => undefined, {
        async handle(event, ctx) {
          if (event.data.at === 0) await ctx.sql.query('COMMIT')
          if (event.data.at === 1) await ctx.sql`select 1/0`.catch(() => {})
          if (event.data.at === 2) void ctx.sql`select 1/0`
          if (event.data.at === 3)
            await ctx.sql.query('savepoint a').then(() => ctx.sql.query('rollback to savepoint a'))
          if (event.data.at === 4) void ctx.sql`insert into effects (id) values ('not awaited')`
          await ctx.sql`insert into effects (id) values (${event.id})`.catch(() => {})
        },
      }),
    ])
    await running.publish(...[0, 1, 2, 3, 4].map((at) => ({ type: 'thing.done', subject: `s${at}`, data: { at } })))
    const rows = await deadOf(running, 3)
    expect(rows.map(({ error_class, error_code }) => [error_class, error_code])).toEqual(
      expect.arrayContaining([
        ['EvtError', 'refused'],
        ['error', '22012'],
        ['error', '22012'],
      ]),
    )
    await until(async () => (await running.rows('select * from effects')).length === 3)
  })

  it('takes what the handler publishes along, with its cause, or nothing of it', async () => {
    const running = await run([
      failing(() => undefined, {
        async handle(event, ctx) {
          await ctx.publish({ type: 'thing.noticed', data: {} })
          if (event.data.fail) throw new Error('no')
        },
      }),
    ])
    const [, good] = await running.publish(
      { type: 'thing.done', subject: 'a', data: { fail: true } },
      { type: 'thing.done', subject: 'b' },
    )
    await deadOf(running)
    await until(async () => (await running.rows('select * from published')).length === 1)
    expect(await running.rows('select type, causation from published')).toEqual([
      { type: 'thing.noticed', causation: good?.id },
    ])
  })

  it('that a deferred constraint refuses at commit costs only the guilty event', async () => {
    const running = await run([
      failing(() => undefined, {
        async handle(event, ctx) {
          await ctx.sql`insert into effects (id, subject) values (${event.id}, ${event.data.at === 3 ? 'nobody' : 'someone'})`
        },
      }),
    ])
    await running.store.query(`create table people (name text primary key)`)
    await running.store.query(`insert into people values ('someone')`)
    await running.store.query(
      `alter table effects add foreign key (subject) references people deferrable initially deferred`,
    )
    await running.publish(
      ...Array.from({ length: 10 }, (_, at) => ({ type: 'thing.done', subject: `s${at}`, data: { at } })),
    )
    const rows = await deadOf(running)
    await until(async () => (await running.rows('select * from effects')).length === 9)
    expect(rows).toMatchObject([{ error_code: '23503' }])
  })
})
