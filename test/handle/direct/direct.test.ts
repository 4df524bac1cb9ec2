import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineEvent } from '../../../src/core/define-event.ts'
import type { EvtEvent } from '../../../src/core/event.ts'
import { createRegistry } from '../../../src/core/registry.ts'
import { defineBatchHandler } from '../../../src/handle/define-batch-handler.ts'
import { defineHandler } from '../../../src/handle/define-handler.ts'
import type { HandlerDefinition } from '../../../src/handle/handler.ts'
import type { MemoryTransport } from '../../../src/transports/memory/index.ts'
import { openNoop } from '../../../src/transports/noop/index.ts'
import type { Message, Transport } from '../../../src/transports/transport.ts'
import { until } from '../../setup/until.ts'
import { lanesOf } from '../../transports/conformance/world.ts'
import { eventOf, messageOf } from '../running.ts'
import { runDirect } from './running-direct.ts'

const quick = { attempts: 3, initial: '1ms' } as const
const many = (count: number, subjects: number) =>
  Array.from({ length: count }, (_, n) => ({ type: 'a.b', subject: `s/${n % subjects}`, data: { n } }))
const numberOf = (event: EvtEvent) => (event.data as { n: number }).n

describe('handlers without a store', () => {
  it('see every event of a subject in order, several subjects at a time', async () => {
    const seen: EvtEvent[] = []
    let [running, most] = [0, 0]
    const direct = await runDirect([
      defineHandler({
        name: 'a.h',
        on: ['a.*'],
        concurrency: 4,
        async handle(event) {
          most = Math.max(most, ++running)
          await delay(1)
          running--
          seen.push(event)
        },
      }),
    ])
    await direct.publish(...many(200, 10))
    await until(() => seen.length === 200)
    for (let subject = 0; subject < 10; subject++) {
      const own = seen.filter((event) => event.subject === `s/${subject}`).map(numberOf)
      expect(own).toEqual([...own].sort((a, b) => a - b))
    }
    expect(most).toBe(4)
    await until(async () => (await direct.lag('a.h')) === 0)
    expect(direct.sample()).toMatchObject({ handled: 200, queued: 0, inFlight: 0, failed: 0, health: 'healthy' })
  })

  it('retry inside the lane: the subject waits, others flow past it', async () => {
    const seen: string[] = []
    const direct = await runDirect([
      defineHandler({
        name: 'a.h',
        on: ['a.*'],
        retry: { attempts: 3, initial: '300ms', backoff: 'fixed' },
        handle(event, ctx) {
          const name = `${event.subject}:${numberOf(event)}`
          if (name === 's/0:0' && ctx.attempt < 3) throw new Error(`no ${ctx.attempt}`)
          seen.push(name)
        },
      }),
    ])
    await direct.publish(...many(20, 2))
    await until(() => seen.length === 20)
    const first = seen.indexOf('s/0:0')
    expect(seen.slice(0, first).every((name) => name.startsWith('s/1'))).toBe(true)
    expect(seen.filter((name) => name.startsWith('s/0'))).toEqual(Array.from({ length: 10 }, (_, n) => `s/0:${n * 2}`))
    expect(direct.sample()).toMatchObject({ handled: 20, failed: 2, retried: 2, dead: 0, queued: 0, inFlight: 0 })
  })

  it('become a dead letter in the transport after the attempts; the subject goes on', async () => {
    const seen: number[] = []
    const direct = await runDirect([
      defineHandler({
        name: 'a.h',
        on: ['a.*'],
        retry: quick,
        handle(event) {
          if (numberOf(event) === 1) throw new TypeError('never')
          seen.push(numberOf(event))
        },
      }),
    ])
    const events = await direct.publish(...many(4, 1))
    await until(() => seen.length === 3)
    expect(seen).toEqual([0, 2, 3])
    const [letter, ...more] = await direct.dead()
    expect(more).toEqual([])
    expect(letter).toMatchObject({
      message: { id: events[1]?.id, key: 's/0' },
      origin: { topic: 'events', group: 'a.h' },
      error: { class: 'TypeError', message: 'never' },
      attempts: 3,
    })
    await until(async () => (await direct.lag('a.h')) === 0)
  })

  it('die at once of what no retry can mend: named classes, contracts, checksums, bytes that are no event', async () => {
    class Hopeless extends Error {}
    const contract = defineEvent('a.checked', { 1: z.object({ n: z.number() }) })
    let attempts = 0
    const direct = await runDirect(
      [
        defineHandler({
          name: 'a.h',
          on: ['a.*'],
          retry: quick,
          nonRetryable: ['Hopeless'],
          handle() {
            attempts++
            throw new Hopeless('give up')
          },
        }),
      ],
      { registry: createRegistry([contract]) },
    )
    await direct.publish({ type: 'a.b', subject: 's/1' })
    await direct.publish({ type: 'a.checked', subject: 's/2', data: { n: 'seven' } })
    await direct.publish({ type: 'a.checked', subject: 's/2', data: { n: 1 }, version: 9 })
    const whole = messageOf(eventOf({ type: 'a.b', subject: 's/3', data: { n: 1 } }))
    await direct.send({ ...whole, body: Buffer.from('{"n":2}') })
    await direct.send({ id: 'x-1', key: null, headers: { 'ce-type': 'a.b' }, body: Buffer.from([0xff, 0xfe]) })
    await until(async () => (await direct.dead()).length === 5)
    const letters = await direct.dead()
    expect(letters.map(({ error, attempts }) => [error?.class, attempts])).toEqual(
      expect.arrayContaining([
        ['Hopeless', 1],
        ['NewerVersion', 1],
      ]),
    )
    expect(attempts).toBe(1)
    expect(letters.find(({ message }) => message.id === 'x-1')?.message.body).toEqual(Buffer.from([0xff, 0xfe]))
  })

  it('end an attempt at its time, fire its signal, and go on', async () => {
    const ended: unknown[] = []
    const direct = await runDirect([
      defineHandler({
        name: 'a.h',
        on: ['a.*'],
        timeout: '30ms',
        retry: { attempts: 2, initial: '1ms' },
        async handle(_event, ctx) {
          await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve))
          ended.push(ctx.signal.reason)
          await expect(ctx.publish({ type: 'a.c', data: {} })).rejects.toMatchObject({ code: 'fenced' })
          await new Promise(() => {})
        },
      }),
    ])
    await direct.publish({ type: 'a.b', subject: 's/1' })
    await until(async () => (await direct.dead()).length === 1)
    expect((await direct.dead())[0]).toMatchObject({ error: { class: 'TimeoutError' }, attempts: 2 })
    expect(ended).toHaveLength(2)
  })

  it('run once for an id that comes twice within the window, and again behind it', async () => {
    let runs = 0
    const direct = await runDirect([defineHandler({ name: 'a.h', on: ['a.*'], handle: () => void runs++ })], {
      duplicates: { count: 2 },
    })
    const twice = messageOf(eventOf({ type: 'a.b', id: 'same', subject: 's/1' }))
    const other = direct.open()
    await direct.transport.ensure([{ name: 'more', lanes: 1 }], 'create')
    await direct.send(twice)
    await until(() => runs === 1)
    // Memory itself knows the id; a dead letter that is replayed passes it.
    const replay = async () => {
      const received = { ...twice, topic: 'events', at: '1', deliveries: 1 }
      const error = { class: 'E', message: 'm' }
      await other.deadLetters?.bury(
        'events',
        [{ message: received, group: 'g', error, attempts: 1 }],
        AbortSignal.timeout(1_000),
      )
      await other.deadLetters?.replay('events:dlq', ['events:g:1'], { signal: AbortSignal.timeout(1_000) })
    }
    await replay()
    await until(() => direct.sample().skipped === 1)
    expect(runs).toBe(1)
    await direct.publish(...many(3, 3))
    await until(() => runs === 4)
    await replay()
    await until(() => runs === 5)
  })

  it('run again what was buried: a replayed dead letter is no duplicate', async () => {
    let isBroken = true
    const seen: string[] = []
    const direct = await runDirect([
      defineHandler({
        name: 'a.h',
        on: ['a.*'],
        retry: { attempts: 1 },
        handle(event) {
          if (isBroken) throw new Error('not yet')
          seen.push(event.id)
        },
      }),
    ])
    const [event] = await direct.publish({ type: 'a.b', subject: 's/1' })
    await until(async () => (await direct.dead()).length === 1)
    isBroken = false
    const [letter] = await direct.dead()
    await direct.transport.deadLetters?.replay('events:dlq', [letter?.id ?? ''], { signal: AbortSignal.timeout(1_000) })
    await until(() => seen.length === 1)
    expect(seen).toEqual([event?.id])
  })

  it('have no sql, and are told where there is one', async () => {
    const direct = await runDirect([
      defineHandler({
        name: 'a.h',
        on: ['a.*'],
        retry: { attempts: 1 },
        handle: async (_event, { sql }) => void (await sql`select 1`),
      }),
    ])
    await direct.publish({ type: 'a.b' })
    await until(async () => (await direct.dead()).length === 1)
    expect((await direct.dead())[0]?.error?.message).toMatch(/cannot use ctx\.sql in a\.h: .*no store/)
  })

  it('publish to the same transport, with the same id at each attempt, and fail when that fails', async () => {
    let isRefused = true
    const published: unknown[] = []
    const direct = await runDirect(
      [
        defineHandler({
          name: 'a.h',
          on: ['a.*'],
          retry: quick,
          handle(event, ctx) {
            // Not waited for: its failure counts all the same.
            void ctx.publish({ type: 'c.d', data: { of: event.id } })
          },
        }),
      ],
      {
        async publish(event) {
          published.push([event.id, event.causationId])
          if (isRefused) {
            isRefused = false
            throw new Error('away')
          }
          return event.id ?? ''
        },
      },
    )
    const [event] = await direct.publish({ type: 'a.b' })
    await until(() => direct.sample().handled === 1)
    expect(published).toHaveLength(2)
    expect(published[0]).toEqual(published[1])
    expect((published[0] as string[])[1]).toBe(event?.id)
    expect(direct.sample()).toMatchObject({ failed: 1, retried: 1 })
  })

  it('read the shapes of other systems, and bury bytes that are none', async () => {
    const seen: EvtEvent[] = []
    const direct = await runDirect([
      defineHandler({ name: 'a.h', on: ['*'], handle: (event) => void seen.push(event) }),
      defineHandler({ name: 'other', on: ['other.*'], handle() {} }),
    ])
    const foreign = (id: string, body: object | string): Message => ({
      id,
      key: null,
      headers: {},
      body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
    })
    await direct.send(
      foreign('f-1', {
        event_type: 'document.updated',
        document_id: 'd-1',
        document_data: {},
        timestamp: '2025-08-23T10:00:00Z',
      }),
      foreign('f-2', {
        specversion: '1.0',
        id: 'own',
        type: 'a.b',
        source: 's',
        time: '2025-08-23T10:00:00Z',
        data: 1,
      }),
      foreign('f-3', 'no event at all'),
    )
    await until(() => seen.length === 2)
    expect(seen.map(({ id, type }) => [id, type])).toEqual([
      ['f-1', 'document.updated'],
      ['own', 'a.b'],
    ])
    await until(async () => (await direct.dead()).some(({ message }) => message.id === 'f-3'))
  })

  it('pause and resume', async () => {
    const seen: number[] = []
    const direct = await runDirect([
      defineHandler({ name: 'a.h', on: ['a.*'], handle: (event) => void seen.push(numberOf(event)) }),
    ])
    direct.subscribers.pause('a.h')
    await direct.publish(...many(10, 10))
    await until(() => direct.sample().queued === 10)
    expect(direct.sample().paused).toBe(true)
    expect(seen).toEqual([])
    direct.subscribers.resume('a.h')
    await until(() => seen.length === 10)
    expect(() => direct.subscribers.pause('x')).toThrow(/no handler of that name/)
  })

  it('finish what runs when they stop, and leave the rest to the next owner', async () => {
    const begun: number[] = []
    const ended: number[] = []
    const gate = Promise.withResolvers<void>()
    const handler = defineHandler({
      name: 'a.h',
      on: ['a.*'],
      concurrency: 2,
      start: 'earliest',
      async handle(event) {
        begun.push(numberOf(event))
        await gate.promise
        ended.push(numberOf(event))
      },
    })
    const direct = await runDirect([handler])
    await direct.publish(...many(10, 10))
    await until(() => begun.length === 2)
    const stopped = direct.subscribers.stop({ graceMs: 5_000 })
    gate.resolve()
    await stopped
    expect(ended.toSorted()).toEqual(begun.toSorted())
    expect(begun).toHaveLength(2)
    await direct.another([handler])
    await until(() => ended.length === 10)
    expect(new Set(ended).size).toBe(10)
  })

  it('interrupt what does not end within the grace; it comes again', async () => {
    const seen: [number, boolean][] = []
    let isStuck = true
    const handler = defineHandler({
      name: 'a.h',
      on: ['a.*'],
      async handle(event, ctx) {
        if (isStuck) await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve))
        seen.push([numberOf(event), ctx.signal.aborted])
      },
    })
    const direct = await runDirect([handler])
    await direct.publish(...many(1, 1))
    await until(() => direct.sample().inFlight === 1)
    await direct.subscribers.stop({ graceMs: 50 })
    isStuck = false
    await direct.another([handler])
    await until(() => seen.length === 2)
    expect(seen.some(([n, aborted]) => n === 0 && !aborted)).toBe(true)
  })

  it.each([4, 5])('bury what ends the process in all of %i attempts, and take no bystander along', async (attempts) => {
    const runs = new Map<number, number>()
    const done = new Set<number>()
    const never = new Promise<void>(() => {})
    const dying = Promise.withResolvers<void>()
    let died = dying
    const handler = defineHandler({
      name: 'a.h',
      on: ['a.*'],
      concurrency: 8,
      retry: { attempts },
      async handle(event) {
        const n = numberOf(event)
        runs.set(n, (runs.get(n) ?? 0) + 1)
        if (n === 3) {
          died.resolve()
          await never
        }
        await delay(5)
        done.add(n)
      },
    })
    const direct = await runDirect([])
    let transport = direct.open() as MemoryTransport
    await direct.another([handler], { transport })
    await direct.publish(...many(12, 12))
    for (let deaths = 1; deaths <= attempts; deaths++) {
      await died.promise
      died = Promise.withResolvers<void>()
      // As by kill -9: nothing is given back.
      transport.die()
      transport = direct.open() as MemoryTransport
      await direct.another([handler], { transport })
    }
    await until(async () => (await direct.dead()).length === 1, { withinMs: 10_000 })
    await until(() => done.size === 11)
    expect((await direct.dead())[0]).toMatchObject({ error: { class: 'ProcessEnded' }, attempts })
    expect(runs.get(3)).toBe(attempts)
    for (const [n, count] of runs) if (n !== 3) expect(count).toBeLessThanOrEqual(attempts - 2)
  })

  it('bury nothing of a process that lives, however often it loses its lanes', async () => {
    const attempts: number[] = []
    const gate = Promise.withResolvers<void>()
    const handler = defineHandler({
      name: 'a.h',
      on: ['a.*'],
      retry: { attempts: 3 },
      async handle(_, { attempt }) {
        attempts.push(attempt)
        await gate.promise
      },
    })
    const direct = await runDirect([])
    let connection = direct.open() as MemoryTransport
    // One that connects again.
    const lanes: Transport['lanes'] = (...given) => lanesOf(connection)(...given)
    await direct.another([handler], { transport: { ...direct.transport, lanes } })
    await direct.publish(...many(1, 1))
    for (let losses = 1; losses <= 3; losses++) {
      await until(() => attempts.length === losses)
      const lost = connection
      connection = direct.open() as MemoryTransport
      lost.die()
    }
    await until(() => attempts.length === 4, { withinMs: 10_000 })
    gate.resolve()
    await until(async () => (await direct.lag('a.h')) === 0)
    expect(attempts).toEqual([1, 1, 1, 1])
    expect(await direct.dead()).toEqual([])
  })

  it('run what a dead process began beside what another handler is still at, when they have attempts enough', async () => {
    const begun = { quick: 0, stuck: 0 }
    const done = { quick: 0, stuck: 0 }
    let isDying = true
    const gate = Promise.withResolvers<void>()
    const [quick, stuck] = (['quick', 'stuck'] as const).map((name) =>
      defineHandler({
        name: `a.${name}`,
        on: ['a.*'],
        concurrency: 8,
        async handle() {
          begun[name]++
          if (isDying) await new Promise(() => {})
          if (name === 'stuck') await gate.promise
          done[name]++
        },
      }),
    ) as [HandlerDefinition, HandlerDefinition]
    const direct = await runDirect([])
    const dying = direct.open() as MemoryTransport
    await direct.another([quick, stuck], { transport: dying })
    await direct.publish(...many(40, 40))
    await until(() => begun.quick >= 8 && begun.stuck >= 8)
    dying.die()
    isDying = false
    await direct.another([stuck, quick], { transport: direct.open() })
    await until(() => done.quick === 40, { withinMs: 10_000 })
    expect(done.stuck).toBe(0)
    gate.resolve()
    await until(() => done.stuck === 40, { withinMs: 10_000 })
  })

  it('run what a dead process began also beside a handler that is paused', async () => {
    const begun = { x: 0, y: 0 }
    const done = { x: 0, y: 0 }
    let isStuck = true
    const [x, y] = (['x', 'y'] as const).map((name) =>
      defineHandler({
        name: `a.${name}`,
        on: ['a.*'],
        concurrency: 8,
        async handle() {
          begun[name]++
          if (isStuck) await new Promise(() => {})
          done[name]++
        },
      }),
    ) as [HandlerDefinition, HandlerDefinition]
    const direct = await runDirect([])
    const dying = direct.open() as MemoryTransport
    await direct.another([x, y], { transport: dying })
    await direct.publish(...many(8, 8))
    await until(() => begun.x === 8 && begun.y === 8)
    dying.die()
    isStuck = false
    const survivor = await direct.another([], { transport: direct.open() })
    await survivor.add(x, { isPaused: true })
    await survivor.add(y)
    await until(() => done.y === 8, { withinMs: 5_000 })
    expect(done.x).toBe(0)
    survivor.resume('a.x')
    await until(() => done.x === 8, { withinMs: 5_000 })
  })

  it('run what a dead process began alone also when a paused handler goes on with it', async () => {
    const counted = { now: 0, most: 0 }
    const begun = { x: 0, y: 0 }
    const done = { x: 0, y: 0 }
    let isStuck = true
    let gate = Promise.withResolvers<void>()
    const [x, y] = (['x', 'y'] as const).map((name) =>
      defineHandler({
        name: `a.${name}`,
        on: ['a.*'],
        concurrency: 8,
        retry: { attempts: 4 },
        async handle() {
          begun[name]++
          if (isStuck) await new Promise(() => {})
          counted.now++
          counted.most = Math.max(counted.most, counted.now)
          if (name === 'x') await gate.promise
          await delay(5)
          counted.now--
          done[name]++
        },
      }),
    ) as [HandlerDefinition, HandlerDefinition]
    const direct = await runDirect([])
    const dying = direct.open() as MemoryTransport
    await direct.another([x, y], { transport: dying })
    await direct.publish(...many(6, 6))
    await until(() => begun.x === 6 && begun.y === 6)
    dying.die()
    isStuck = false
    const survivor = await direct.another([], { transport: direct.open() })
    await survivor.add(x)
    await until(() => counted.now === 1)
    // In the middle of one; the others have not begun.
    survivor.pause('a.x')
    await survivor.add(y)
    await delay(50)
    expect(done).toEqual({ x: 0, y: 0 })
    gate.resolve()
    await until(() => done.y === 6, { withinMs: 10_000 })
    expect(done.x).toBe(1)
    gate = Promise.withResolvers<void>()
    survivor.resume('a.x')
    await until(() => counted.now === 1)
    gate.resolve()
    await until(() => done.x === 6, { withinMs: 10_000 })
    expect(counted.most).toBe(1)
  })

  it('run what a dead process began while nothing else of the process runs: neither is blamed for the other', async () => {
    const said: string[] = []
    let isDying = true
    const gate = Promise.withResolvers<void>()
    const [suspected, other] = ['suspected', 'other'].map((name) =>
      defineHandler({
        name: `a.${name}`,
        on: [`${name}.*`],
        retry: { attempts: 3 },
        async handle({ type }) {
          said.push(`${type} begins`)
          if (isDying) await new Promise(() => {})
          if (name === 'suspected') await gate.promise
          said.push(`${type} ends`)
        },
      }),
    ) as [HandlerDefinition, HandlerDefinition]
    const direct = await runDirect([])
    const dying = direct.open() as MemoryTransport
    await direct.another([suspected], { transport: dying })
    await direct.publish({ type: 'suspected.slow' })
    await until(() => said.length === 1)
    dying.die()
    isDying = false
    said.length = 0
    await direct.another([suspected, other], { transport: direct.open() })
    await until(() => said.includes('suspected.slow begins'), { withinMs: 5_000 })
    await direct.publish({ type: 'other.new' })
    await delay(100)
    gate.resolve()
    await until(() => said.includes('other.new ends'), { withinMs: 5_000 })
    expect(said).toEqual(['suspected.slow begins', 'suspected.slow ends', 'other.new begins', 'other.new ends'])
  })

  it('wait with the subject while its dead letter cannot be written', async () => {
    const seen: number[] = []
    let isAway = true
    const direct = await runDirect([])
    const { deadLetters } = direct.transport
    if (!deadLetters) throw new Error('memory has dead letters')
    const transport = Object.create(direct.transport, {
      deadLetters: {
        value: {
          ...deadLetters,
          bury: (...args: Parameters<typeof deadLetters.bury>) =>
            isAway ? Promise.reject(new Error('away')) : deadLetters.bury(...args),
        },
      },
    })
    const handler = defineHandler({
      name: 'a.h',
      on: ['a.*'],
      retry: { attempts: 1 },
      handle(event) {
        if (numberOf(event) === 0) throw new Error('never')
        seen.push(numberOf(event))
      },
    })
    await direct.another([handler], { transport })
    await direct.publish(...many(8, 2))
    await until(() => seen.length === 4)
    expect(seen).toEqual([1, 3, 5, 7])
    expect(await direct.lag('a.h')).toBeGreaterThan(0)
    isAway = false
    await until(() => seen.length === 7)
    expect(await direct.dead()).toHaveLength(1)
  })

  it('take batches in order; a failing one is narrowed down to the guilty event', async () => {
    const batches: number[][] = []
    const handled: number[] = []
    const direct = await runDirect([])
    await direct.publish(...many(40, 1))
    await direct.another([
      defineBatchHandler({
        name: 'a.batch',
        on: ['a.*'],
        batch: 16,
        start: 'earliest',
        retry: quick,
        handle(events) {
          const numbers = events.map(numberOf)
          batches.push(numbers)
          if (numbers.includes(21)) throw new Error('not 21')
          handled.push(...numbers)
        },
      }),
    ])
    await until(() => handled.length === 39)
    expect(handled).toEqual(Array.from({ length: 40 }, (_, n) => n).filter((n) => n !== 21))
    expect(await direct.dead()).toHaveLength(1)
    expect(batches.filter((batch) => batch.length === 1 && batch[0] === 21)).toHaveLength(3)
    expect(Math.max(...batches.map((batch) => batch.length))).toBe(16)
    expect(direct.sample()).toMatchObject({ handled: 39, queued: 0, inFlight: 0 })
  })

  it('are refused where what only the stored topology can do is asked for', async () => {
    const direct = await runDirect([])
    const refused = (definition: object) =>
      direct.another([defineHandler({ name: 'a.h', on: ['a.*'], handle() {}, ...definition })])
    await expect(refused({ afterDead: 'block' })).rejects.toThrow(/without a store/)
    await expect(runDirect([], { transport: openNoop() })).rejects.toThrow(/can only be observed/)
    const { deadLetters: _, ...without } = direct.transport
    await expect(runDirect([], { transport: without })).rejects.toThrow(/no dead letters/)
  })

  it('share the lanes of a group between processes, and keep the order when one dies', async () => {
    const seen: EvtEvent[] = []
    const handler = defineHandler({
      name: 'a.h',
      on: ['a.*'],
      async handle(event) {
        await delay(2)
        seen.push(event)
      },
    })
    const direct = await runDirect([])
    const first = direct.open() as MemoryTransport
    await direct.another([handler], { transport: first })
    await direct.another([handler], { transport: direct.open() })
    await direct.publish(...many(300, 20))
    await until(() => seen.length > 100)
    first.die()
    await until(async () => (await direct.lag('a.h')) === 0, { withinMs: 10_000 })
    expect(new Set(seen.map(({ id }) => id)).size).toBe(300)
    for (let subject = 0; subject < 20; subject++) {
      const own = seen.filter((event) => event.subject === `s/${subject}`).map(numberOf)
      const firsts = own.filter((n, at) => own.indexOf(n) === at)
      expect(firsts).toEqual([...firsts].sort((a, b) => a - b))
    }
  })
})
