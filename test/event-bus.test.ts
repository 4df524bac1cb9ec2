import { randomUUID } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { defineEvent } from '../src/core/define-event.ts'
import { createRegistry } from '../src/core/registry.ts'
import { createEventBus, type EventBusOptions } from '../src/event-bus.ts'
import { defineHandler } from '../src/handle/define-handler.ts'
import { transportSchemes } from '../src/transports/registry.ts'
import type { ServerName } from './setup/server-names.ts'
import { hasServer, serverUrl } from './setup/shared-servers.ts'
import { until } from './setup/until.ts'

interface Kind {
  readonly type: string
  readonly server?: ServerName
  readonly scheme: string
  env(url: string): Record<string, string>
}

const kinds: readonly Kind[] = [
  { type: 'memory', scheme: 'memory', env: () => ({}) },
  { type: 'redis', server: 'redis', scheme: 'redis', env: (url) => ({ REDIS_EVENT_URL: url }) },
  { type: 'kafka', server: 'kafka', scheme: 'kafka', env: (url) => ({ KAFKA_BOOTSTRAP_SERVERS: new URL(url).host }) },
  { type: 'rabbitmq', server: 'rabbitmq', scheme: 'amqp', env: (url) => ({ RABBITMQ_URL: url }) },
]

const isMissing = ({ server, scheme }: Kind) =>
  (server !== undefined && !hasServer(server)) || !(transportSchemes as readonly string[]).includes(scheme)

const userCreated = defineEvent('user.created', { 1: z.object({ n: z.number() }) })
const registry = createRegistry([userCreated])

for (const kind of kinds) {
  describe.skipIf(isMissing(kind))(`one program with EVENT_BUS_TYPE=${kind.type}`, () => {
    const environment = async () => ({
      EVENT_BUS_TYPE: kind.type,
      ...kind.env(kind.server ? await serverUrl(kind.server) : ''),
    })

    /** The same for all: only the environment differs. */
    async function open(topic: string, more: Partial<EventBusOptions> = {}) {
      const bus = createEventBus({
        env: await environment(),
        cwd: '/',
        topic,
        lanes: 4,
        registry,
        group: topic,
        ...more,
      })
      onTestFinished(() => bus.stop())
      await bus.start()
      return bus
    }

    it('publishes, handles in order, and knows what comes twice', async () => {
      const bus = await open(`t${randomUUID().slice(0, 8)}`)
      const seen: { subject: string; n: number }[] = []
      const id = await bus.subscribe(userCreated, (event) => {
        seen.push({ subject: event.subject ?? '', n: event.data.n })
      })
      const events = Array.from({ length: 60 }, (_, n) => ({
        id: `e-${n}`,
        type: 'user.created',
        subject: `user/${n % 5}`,
        data: { n },
      }))
      expect(await bus.publishAll(events)).toEqual({ published: 60, failed: [] })
      await until(() => seen.length === 60, { withinMs: 15_000 })
      for (let subject = 0; subject < 5; subject++) {
        const own = seen.filter((one) => one.subject === `user/${subject}`).map(({ n }) => n)
        expect(own).toEqual([...own].sort((a, b) => a - b))
      }
      // The broker knows the id, or the handler does.
      await bus.publish(events[0] as (typeof events)[number])
      await bus.publish({ type: 'user.created', subject: 'user/0', data: { n: 60 } })
      await until(() => seen.some(({ n }) => n === 60), { withinMs: 15_000 })
      expect(seen).toHaveLength(61)
      expect(await bus.unsubscribe(id)).toBe(true)
      expect(await bus.unsubscribe(id)).toBe(false)
      await bus.stop()
    })

    it('retries, buries what fails for good, and publishes from handlers', async () => {
      const topic = `t${randomUUID().slice(0, 8)}`
      const attempts: number[] = []
      const after: string[] = []
      const bus = await open(topic, {
        handlers: [
          defineHandler({
            name: 'accounts.create',
            on: [userCreated],
            retry: { attempts: 3, initial: '5ms' },
            async handle(event, ctx) {
              if (event.data.n === 1) {
                attempts.push(ctx.attempt)
                throw new Error('never')
              }
              await ctx.publish({ type: 'account.opened', subject: event.subject ?? '', data: { of: event.id } })
            },
          }),
        ],
      })
      await bus.subscribe('account.*', (event) => {
        after.push(`${event.causationId}`)
      })
      await bus.publish({ id: 'bad', type: 'user.created', subject: 'user/1', data: { n: 1 } })
      await bus.publish({ id: 'good', type: 'user.created', subject: 'user/1', data: { n: 2 } })
      await until(() => after.length === 1, { withinMs: 15_000 })
      expect(after).toEqual(['good'])
      expect(attempts).toEqual([1, 2, 3])
      const { handlers } = bus.stats()
      expect(handlers.find(({ handler }) => handler === 'accounts.create')).toMatchObject({
        handled: 1,
        dead: 1,
        retried: 2,
      })
      await bus.stop()
    })

    it('goes on where it was after a restart, and shares the work of one name', async () => {
      const topic = `t${randomUUID().slice(0, 8)}`
      const seen: number[] = []
      const own = (bus: Awaited<ReturnType<typeof open>>) =>
        bus.subscribe('user.*', (event) => void seen.push((event.data as { n: number }).n), { name: 'shared.work' })
      const first = await open(topic)
      await own(first)
      await first.publish({ type: 'user.created', subject: 'user/1', data: { n: 1 } })
      await until(() => seen.length === 1, { withinMs: 15_000 })
      await first.stop()
      const publisher = await open(topic)
      await publisher.publish({ type: 'user.created', subject: 'user/1', data: { n: 2 } })
      const [second, third] = [await open(topic), await open(topic)]
      await Promise.all([own(second), own(third)])
      for (let n = 3; n <= 20; n++) await publisher.publish({ type: 'user.created', subject: `user/${n}`, data: { n } })
      await until(() => new Set(seen).size === 20, { withinMs: 20_000 })
      expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1))
      await Promise.all([publisher, second, third].map((bus) => bus.stop()))
    }, 60_000)
  })
}

describe('the event bus', () => {
  const memory = () => `memory://bus-${randomUUID()}`

  it('never throws into who publishes: not started, stopped, nonsense', async () => {
    const errors: string[] = []
    const bus = createEventBus({ url: memory(), onError: ({ code }) => errors.push(code) })
    expect(await bus.publish({ type: 'a.b', data: 1 })).toMatchObject({ state: 'refused', error: { code: 'closed' } })
    await bus.start()
    expect(await bus.publish({ type: 'a b', data: 1 })).toMatchObject({ state: 'refused', error: { code: 'contract' } })
    await bus.stop()
    expect(await bus.publish({ type: 'a.b', data: 1 })).toMatchObject({ state: 'refused', error: { code: 'closed' } })
    expect(errors).toEqual(['closed', 'contract', 'closed'])
    await expect(bus.subscribe('a.b', () => {})).rejects.toMatchObject({ code: 'closed' })
  })

  it('says what is missing or wrong before anything runs', async () => {
    await expect(createEventBus({}).start()).rejects.toThrow(/neither url nor env/)
    await expect(createEventBus({ env: {}, cwd: '/' }).start()).rejects.toThrow(/no bus is configured/)
    await expect(createEventBus({ env: { EVENT_BUS_TYPE: 'nats' }, cwd: '/' }).start()).rejects.toThrow(/none of redis/)
    const blocking = defineHandler({ name: 'a.h', on: ['a.*'], afterDead: 'block', handle() {} })
    await expect(createEventBus({ url: memory(), handlers: [blocking] }).start()).rejects.toThrow(/without a store/)
  })

  it('gives a topic that the URL names, and one for each type', async () => {
    const url = memory()
    const seen: string[] = []
    const bus = createEventBus({ url, layout: 'per-type', topic: 'events:', registry })
    await bus.start()
    await bus.subscribe(['user.*', 'other.thing'], (event) => void seen.push(event.type))
    await bus.publish({ type: 'user.created', data: { n: 1 } })
    await bus.publish({ type: 'other.thing', data: {} })
    await until(() => seen.length === 2)
    await expect(bus.subscribe('unknown.*', () => {})).rejects.toThrow(/its types must be known/)
    await bus.stop()
    const named = createEventBus({ url: `${url}/own-topic` })
    await named.start()
    expect(await named.publish({ type: 'a.b', data: 1 })).toMatchObject({ state: 'stored' })
    await named.stop()
  })

  it('takes attempts, timeouts and the kill switch from the environment, as the seed systems name them', async () => {
    const attempts: number[] = []
    const env = { EVENT_BUS_TYPE: 'memory', EVENT_RETRY_ATTEMPTS: '2', EVENT_PROCESSING_ENABLED: 'false' }
    const bus = createEventBus({ env, cwd: '/', topic: randomUUID() })
    await bus.start()
    const options = { name: 'a.h', retry: { initial: '1ms' } }
    const id = await bus.subscribe(
      'a.*',
      (_event, ctx) => {
        attempts.push(ctx.attempt)
        throw new Error('never')
      },
      options,
    )
    await bus.publish({ type: 'a.b', data: 1 })
    await until(() => bus.stats().handlers[0]?.queued === 1)
    expect(attempts).toEqual([])
    bus.resume(id)
    await until(() => bus.stats().handlers[0]?.dead === 1)
    expect(attempts).toEqual([1, 2])
    await bus.stop()
  })

  it('with EVENT_BUS_TYPE=noop takes everything, sends nothing, and says so', async () => {
    const said: string[] = []
    const log = { debug() {}, info() {}, error() {}, warn: (text: string) => void said.push(text) }
    const bus = createEventBus({ env: { EVENT_BUS_TYPE: 'noop' }, cwd: '/', registry, log })
    expect(await bus.publish({ type: 'a.b', data: 1 })).toMatchObject({ state: 'refused', error: { code: 'closed' } })
    await bus.start()
    expect(said).toEqual([expect.stringContaining('nothing is sent')])
    expect(bus.transport).toBe('noop')
    const heard: unknown[] = []
    const id = await bus.subscribe(userCreated, (event) => void heard.push(event), { name: 'a.h' })
    await expect(bus.subscribe('a.*', () => {}, { name: 'a.h' })).rejects.toMatchObject({ code: 'config' })
    bus.pause(id)
    bus.resume(id)
    expect(() => bus.pause('a.other')).toThrow(/no handler of that name/)
    const event = { type: 'user.created', data: { n: 1 } }
    expect(await bus.publish(event)).toEqual({ state: 'unsent', id: undefined })
    // One answer for all: nothing is made for an event.
    expect(bus.publish(event)).toBe(bus.publish(event))
    expect(await bus.publishAll([event, event])).toEqual({ published: 0, failed: [] })
    await bus.flush()
    expect(await bus.health()).toMatchObject({ status: 'healthy', connected: false })
    expect(heard).toEqual([])
    expect([await bus.unsubscribe(id), await bus.unsubscribe(id)]).toEqual([true, false])
    await bus.stop()
    expect(await bus.publish(event)).toMatchObject({ state: 'refused', error: { code: 'closed' } })
  })

  it('stops while it starts, and twice', async () => {
    const bus = createEventBus({ url: memory() })
    const starting = bus.start().catch((error: unknown) => error)
    await Promise.all([bus.stop(), bus.stop()])
    expect(await starting).toMatchObject({ code: 'closed' })
  })
})
