import { describe, expect, it } from 'vitest'
import { defineHandler } from '../../src/handle/define-handler.ts'
import type { AnyHandlerDefinition } from '../../src/handle/handler.ts'
import { openMemory } from '../../src/transports/memory/index.ts'
import type { MemoryLane } from '../../src/transports/memory/lane.ts'
import type { Transport } from '../../src/transports/transport.ts'
import { until } from '../setup/until.ts'
import { createMortal, type Running, run } from './running.ts'

let kill = (_attempt: AbortSignal) => {}

/** Subscribers that do nothing from then on. */
async function untilDeath(running: Running, handlers: readonly AnyHandlerDefinition[]): Promise<void> {
  const { parts, die } = createMortal(running)
  const dying = Promise.withResolvers<AbortSignal>()
  kill = dying.resolve
  const subscribers = await running.another(handlers, parts)
  const attempt = await dying.promise
  // When it does nothing more, and not before: a process that lives and loses its lanes has not died.
  attempt.addEventListener('abort', die)
  await subscribers.stop({ graceMs: 0 })
}

describe('events that their owner may have died of', () => {
  it('run alone and counted: the one that ends processes becomes one dead letter, no bystander is tried more than three times', async () => {
    const tries = new Map<string, number>()
    const handler = defineHandler({
      name: 'test.exiting',
      on: ['thing.*'],
      start: 'earliest',
      concurrency: 2,
      retry: { attempts: 5, initial: '5ms', max: '10ms' },
      async handle(event, ctx) {
        tries.set(event.id, (tries.get(event.id) ?? 0) + 1)
        await ctx.sql`insert into effects (id, subject, sequence) values (${event.id}, ${event.subject}, ${event.sequence})`
        if (event.id !== 'guilty') return
        const die = kill
        kill = () => {}
        die(ctx.signal)
        await new Promise(() => {})
      },
    })
    const running = await run([])
    await running.publish(
      ...Array.from({ length: 60 }, (_, n) => ({
        type: 'thing.done',
        id: n === 30 ? 'guilty' : `e${n}`,
        subject: `s${n % 6}`,
        sequence: Math.floor(n / 6) + 1,
      })),
    )
    for (let deaths = 0; deaths < 5; deaths++) {
      await untilDeath(running, [handler])
    }
    await running.another([handler], { transport: openMemory(`memory://${running.name}`) })
    await until(async () => (await running.rows('select * from effects')).length === 59)
    const [dead, ...more] = await until(async () => {
      const rows = await running.rows('select event_id, reason, attempts from evt.dead_letters')
      return rows.length > 0 ? rows : undefined
    })
    expect(more).toEqual([])
    expect(dead).toMatchObject({ event_id: 'guilty', reason: 'process-ended' })
    expect(dead?.attempts).toMatchObject([1, 2, 3, 4, 5].map((attempt) => ({ attempt, class: 'ProcessEnded' })))
    expect(tries.get('guilty')).toBe(5)
    tries.delete('guilty')
    expect(Math.max(...tries.values())).toBeLessThanOrEqual(3)
    expect(await running.rows('select * from evt.suspects')).toEqual([])
    const rows = await running.rows(
      'select subject, array_agg(sequence::int order by n) as seen from effects group by subject',
    )
    for (const { seen } of rows) expect(seen).toEqual((seen as number[]).toSorted((a, b) => a - b))
  })

  it('run together and uncounted until an owner dies of them: nearly all of them are innocent', async () => {
    let isDying = true
    const attempts: number[] = []
    const handler = defineHandler({
      name: 'test.killed',
      on: ['thing.*'],
      start: 'earliest',
      async handle(event, ctx) {
        if (isDying) {
          kill(ctx.signal)
          return new Promise(() => {})
        }
        attempts.push(ctx.attempt)
        await ctx.sql`insert into effects (id, subject, sequence) values (${event.id}, ${event.subject}, 1)`
      },
    })
    const running = await run([])
    await running.publish(...Array.from({ length: 200 }, (_, n) => ({ type: 'thing.done', subject: `s${n}` })))
    await untilDeath(running, [handler])
    isDying = false
    await running.another([handler], { transport: openMemory(`memory://${running.name}`) })
    await until(async () => (await running.rows('select * from effects')).length === 200)
    const transactions = await running.rows('select distinct xmin::text from effects')
    expect(transactions.length).toBeLessThan(100)
    expect(new Set(attempts)).toEqual(new Set([1]))
  })

  it('do not wait behind all that other handlers want connections for', async () => {
    let isDying = true
    const order: string[] = []
    const gate = Promise.withResolvers<void>()
    const suspect = defineHandler({
      name: 'test.suspect',
      on: ['thing.*'],
      start: 'earliest',
      async handle(_, ctx) {
        order.push('suspect')
        if (!isDying) return
        kill(ctx.signal)
        await new Promise(() => {})
      },
    })
    const busy = defineHandler({
      name: 'test.busy',
      on: ['other.*'],
      start: 'earliest',
      transaction: 'event',
      concurrency: 16,
      takes: 1,
      async handle() {
        await gate.promise
        order.push('busy')
      },
    })
    const running = await run([])
    const others = Array.from({ length: 200 }, (_, n) => ({ type: 'other.done', subject: `s${n}` }))
    await running.publish({ type: 'thing.done', subject: 'a' }, ...others)
    for (let deaths = 0; deaths < 2; deaths++) {
      await untilDeath(running, [suspect])
    }
    isDying = false
    order.length = 0
    const transport = openMemory(`memory://${running.name}`)
    const survivor = await running.another([busy], { transport, connections: 1 })
    const inFlight = () => running.recorder.sample().handlers.find(({ handler }) => handler === 'test.busy')?.inFlight
    await until(() => inFlight() === 16)
    await survivor.add(suspect)
    await until(async () => (await running.rows('select * from evt.suspects')).length === 1)
    gate.resolve()
    await until(() => order.includes('suspect'))
    expect(order.indexOf('suspect')).toBeLessThan(8)
  })

  it('that end the process in a retry are counted too', async () => {
    const handler = defineHandler({
      name: 'test.exiting',
      on: ['thing.*'],
      start: 'earliest',
      retry: { attempts: 3, initial: '1ms', max: '2ms' },
      async handle(_, ctx) {
        if (ctx.attempt === 1) throw new Error('first')
        const die = kill
        kill = () => {}
        die(ctx.signal)
        await new Promise(() => {})
      },
    })
    const running = await run([])
    await running.publish({ type: 'thing.done', subject: 'a' })
    for (let deaths = 0; deaths < 2; deaths++) {
      await untilDeath(running, [handler])
    }
    await running.another([handler], { transport: openMemory(`memory://${running.name}`) })
    const [dead] = await until(async () => {
      const rows = await running.rows('select reason, attempts from evt.dead_letters')
      return rows.length > 0 ? rows : undefined
    })
    expect(dead?.reason).toBe('process-ended')
    await until(async () => (await running.rows('select * from evt.deliveries')).length === 0)
  })

  it('are not counted where only their lane was lost: the process lives', async () => {
    let losses = 0
    const handler = defineHandler({
      name: 'test.slow',
      on: ['thing.*'],
      start: 'earliest',
      retry: { attempts: 3, initial: '1ms', max: '2ms' },
      async handle() {
        if (losses === 6) return
        losses++
        for (const lane of lanes.splice(0)) lane.die()
        await new Promise(() => {})
      },
    })
    const running = await run([])
    await running.publish({ type: 'thing.done', id: 'slow', subject: 'a' })
    const memory = openMemory(`memory://${running.name}`)
    const lanes: MemoryLane[] = []
    async function* noted(...given: Parameters<NonNullable<Transport['lanes']>>) {
      for await (const lane of memory.lanes?.(...given) ?? []) {
        lanes.push(lane as MemoryLane)
        yield lane
      }
    }
    await running.another([handler], { transport: { ...memory, lanes: noted } })
    await until(async () => (await running.rows('select * from evt.suspects')).length === 0 && losses === 6)
    await until(async () => (await running.rows('select * from evt.inbox')).length === 1)
    expect(await running.rows('select * from evt.dead_letters')).toEqual([])
  })

  it('are not counted where their process stops in order, however short its time', async () => {
    let isDying = true
    const handler = defineHandler({
      name: 'test.slow',
      on: ['thing.*'],
      start: 'earliest',
      retry: { attempts: 3, initial: '1ms', max: '2ms' },
      async handle(_, ctx) {
        if (!isDying) return
        kill(ctx.signal)
        await new Promise(() => {})
      },
    })
    const running = await run([])
    await running.publish({ type: 'thing.done', id: 'slow', subject: 'a' })
    for (let deaths = 0; deaths < 2; deaths++) await untilDeath(running, [handler])
    for (let stops = 0; stops < 4; stops++) {
      const begun = Promise.withResolvers<AbortSignal>()
      kill = begun.resolve
      const subscribers = await running.another([handler], { transport: openMemory(`memory://${running.name}`) })
      await begun.promise
      await subscribers.stop({ graceMs: 0 })
    }
    isDying = false
    await running.another([handler], { transport: openMemory(`memory://${running.name}`) })
    await until(async () => (await running.rows('select * from evt.inbox')).length === 1)
    expect(await running.rows('select * from evt.dead_letters')).toEqual([])
    await until(async () => (await running.rows('select * from evt.suspects')).length === 0)
  })

  it('take no attempt from a handler that answers in the end', async () => {
    let isDying = true
    const attempts: number[] = []
    const handler = defineHandler({
      name: 'test.moody',
      on: ['thing.*'],
      start: 'earliest',
      retry: { attempts: 3, initial: '1ms', max: '2ms' },
      async handle(_, ctx) {
        if (isDying) {
          kill(ctx.signal)
          await new Promise(() => {})
        }
        attempts.push(ctx.attempt)
        if (ctx.attempt < 3) throw new Error('not yet')
      },
    })
    const running = await run([])
    await running.publish({ type: 'thing.done', id: 'moody', subject: 'a' })
    for (let deaths = 0; deaths < 2; deaths++) await untilDeath(running, [handler])
    isDying = false
    await running.another([handler], { transport: openMemory(`memory://${running.name}`) })
    await until(() => attempts.length === 3)
    expect(attempts).toEqual([1, 2, 3])
    expect(await running.rows('select * from evt.dead_letters')).toEqual([])
  })

  it('that are slow do not pay for what others do beside them', async () => {
    let lives = 0
    const handler = defineHandler({
      name: 'test.beside',
      on: ['thing.*'],
      start: 'earliest',
      concurrency: 4,
      transaction: 'event',
      retry: { attempts: 3, initial: '1ms', max: '2ms' },
      async handle(event, ctx) {
        if (event.id === 'slow') await new Promise((resolve) => setTimeout(resolve, 600))
        else if (event.id === `poison ${lives}`) {
          if (lives > 1) await new Promise((resolve) => setTimeout(resolve, 400))
          kill(ctx.signal)
          await new Promise(() => {})
        }
      },
    })
    const running = await run([])
    await running.publish({ type: 'thing.done', id: 'slow', subject: 'slow' })
    for (lives = 0; lives < 6; lives++) {
      await running.publish({ type: 'thing.done', id: `poison ${lives}`, subject: `s${lives}` })
      await untilDeath(running, [handler])
    }
    await running.another([handler], { transport: openMemory(`memory://${running.name}`) })
    await until(async () => (await running.rows(`select * from evt.inbox where event_id = 'slow'`)).length === 1)
    expect(await running.rows(`select * from evt.dead_letters where event_id = 'slow'`)).toEqual([])
  })
})
