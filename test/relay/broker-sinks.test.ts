import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../../src/bridge.ts'
import type { EvtEvent } from '../../src/core/event.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import type { Store } from '../../src/store/connection.ts'
import { openTransport } from '../../src/transports/registry.ts'
import type { Transport } from '../../src/transports/transport.ts'
import { eventOf, messageOf } from '../handle/running.ts'
import { createTestDatabase } from '../setup/database.ts'
import { startPrivateKafka } from '../setup/private-kafka.ts'
import type { PrivateBroker } from '../setup/private-process.ts'
import { startPrivateRabbit } from '../setup/private-rabbitmq.ts'
import { startPrivateRedis } from '../setup/private-redis.ts'
import { familyOf, signal } from '../setup/server-directory.ts'
import { until } from '../setup/until.ts'
import { commit, readLogIds, runSinks, sinkRow } from './sinking.ts'

const slow = { withinMs: 60_000 }
/** What starts it, and how its URL says that a member that was killed is gone soon: Kafka waits six seconds by default. */
const brokers: readonly (readonly [string, () => Promise<PrivateBroker>, string])[] = [
  ['redis', () => startPrivateRedis(), ''],
  ['kafka', () => startPrivateKafka(), '?session=2s'],
  ['rabbitmq', () => startPrivateRabbit(), ''],
]

const count = async (store: Store, table: string) =>
  Number((await store.query(`select count(*) as n from ${table}`)).rows[0]?.n)

/** The relay makes the topic too: until then Kafka knows none of that name. */
const hasGroup = async (transport: Transport, topic: string) => {
  const { groups } = await transport.inspect([topic]).catch(() => ({ groups: [] }))
  return groups.some(({ group }) => group === 'evt-in')
}

describe.each(brokers)('the stored topology over %s', (_name, start, forgetful) => {
  let broker: PrivateBroker
  let topic = ''
  beforeAll(async () => {
    broker = await start()
  }, 120_000)
  afterAll(() => broker?.stop(), 60_000)
  beforeEach(() => {
    topic = `t${randomUUID().slice(0, 8)}`
  })

  it('brings each event to the handlers once, in order, through a death of the server', async () => {
    const { store } = await createTestDatabase({ max: 20 })
    await store.query('create table effects (at bigint generated always as identity, id text, subject text, n integer)')
    const failed = new Set<string>()
    const handler = defineHandler({
      name: 'test.effects',
      on: ['*'],
      start: 'earliest',
      retry: { attempts: 5, initial: '5ms', max: '20ms' },
      // Its failures come for all subjects at once.
      breaker: false,
      async handle(event, { sql }) {
        const { n } = event.data as { n: number }
        if (n % 10 === 7 && !failed.has(event.id)) {
          failed.add(event.id)
          throw new Error('not yet')
        }
        await sql.query('insert into effects (id, subject, n) values ($1, $2, $3)', [event.id, event.subject, n])
      },
    })
    const sinks = [{ name: 'out', url: broker.url, topic, lanes: 4, start: 'earliest' as const }]
    const bridge = createBridge({ store, handlers: [handler], sinks, consume: 'out', grace: '2s' })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    await commit(store, 200, { subjects: 20 })
    await until(async () => (await count(store, 'effects')) >= 100, slow)
    await broker.kill('SIGKILL')
    await commit(store, 200, { subjects: 20, from: 200 })
    await broker.restart()
    await commit(store, 200, { subjects: 20, from: 400 })
    await until(async () => (await count(store, 'effects')) >= 600, slow)
    const { rows } = await store.query('select id, subject, n from effects order by at')
    expect(new Set(rows.map(({ id }) => id)).size).toBe(600)
    for (const own of Map.groupBy(rows, ({ subject }) => subject).values())
      expect(own.map(({ n }) => n)).toEqual(own.map((_, i) => i + 1))
    expect(await count(store, 'evt.dead_letters')).toBe(0)
    await until(async () => (await sinkRow(store, 'out')).position === 600n, slow)
  }, 180_000)

  it('gives a handler that comes from the log and goes back to it each event once, in order', async () => {
    const { store } = await createTestDatabase({ max: 20 })
    await store.query('create table effects (at bigint generated always as identity, id text, subject text, n integer)')
    const handler = defineHandler({
      name: 'test.effects',
      on: ['thing.*'],
      async handle(event, { sql }) {
        const { n } = event.data as { n: number }
        await sql.query('insert into effects (id, subject, n) values ($1, $2, $3)', [event.id, event.subject, n])
      },
    })
    const sinks = [{ name: 'out', url: broker.url + forgetful, topic, lanes: 4 }]
    let committed = 0
    for (const consume of ['log', 'out', 'log', 'out']) {
      const shared = { store, handlers: [handler], sinks, grace: '2s' }
      const bridge = createBridge({ ...shared, ...(consume === 'log' ? {} : { consume }) })
      onTestFinished(() => bridge.stop())
      await bridge.start()
      await commit(store, 50, { subjects: 10, from: committed })
      const reads = async () => (await store.query('select intake from evt.handler_places')).rows[0]?.intake
      await until(async () => (await reads()) === consume, slow)
      await commit(store, 50, { subjects: 10, from: committed + 50 })
      await until(async () => (await count(store, 'effects')) >= committed + 100, slow)
      await bridge.stop()
      const relay = createBridge({ store, sinks, roles: ['relay'] })
      await relay.start()
      await commit(store, 50, { subjects: 10, from: committed + 100 })
      committed += 150
      await until(async () => (await count(store, 'evt.log')) >= committed, slow)
      await relay.stop()
    }
    const { rows } = await store.query('select id, subject, n from effects order by at')
    expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length)
    expect(rows).toHaveLength(committed - 50)
    for (const own of Map.groupBy(rows, ({ subject }) => subject).values())
      expect(own.map(({ n }) => n)).toEqual(own.map((_, i) => i + 1))
  }, 120_000)

  it('takes foreign messages in, each once, and goes on where it was', async () => {
    const { store } = await createTestDatabase()
    const transport = await openTransport(broker.url)
    onTestFinished(() => transport.close())
    await transport.ensure([{ name: topic, lanes: 4 }], 'create')
    const send = async (events: readonly EvtEvent[]) => {
      const results = await transport.publish(topic, events.map(messageOf), AbortSignal.timeout(20_000))
      expect(new Set(results.map(({ state }) => state))).toEqual(new Set(['stored']))
    }
    const make = (n: number) =>
      Array.from({ length: n }, (_, i) => eventOf({ type: 'from.outside', subject: `s${i % 7}`, data: { i } }))
    const sources = [{ name: 'in', url: broker.url, topic, start: 'earliest' as const }]
    const first = runSinks(store, [], { sources })
    const [before, while_, after] = [make(100), make(100), make(50)]
    // A queue gets what comes after it was made.
    await until(() => hasGroup(transport, topic), slow)
    await send(before)
    await until(async () => (await readLogIds(store)).length === 100, slow)
    await first.stop()
    await send(while_)
    const second = runSinks(store, [], { sources, instance: 'b' })
    await send(after)
    await until(async () => (await readLogIds(store)).length === 250, slow)
    const sent = [...before, ...while_, ...after].map(({ id }) => id)
    expect((await readLogIds(store)).toSorted()).toEqual(sent.toSorted())
    await second.stop()
  }, 120_000)

  it('does not send events round between a source and a sink on one topic', async () => {
    const { store } = await createTestDatabase()
    const sink = { name: 'out', url: broker.url, topic, lanes: 4, start: 'earliest' as const }
    const relay = runSinks(store, [sink], { sources: [{ name: 'in', url: broker.url, topic, start: 'earliest' }] })
    const transport = await openTransport(broker.url)
    onTestFinished(() => transport.close())
    await until(() => hasGroup(transport, topic), slow)
    const own = await commit(store, 100, { subjects: 20 })
    await until(() => relay.taken.get('in')?.looped === 100, slow)
    const foreign = eventOf({ type: 'from.outside' })
    const results = await transport.publish(topic, [messageOf(foreign)], AbortSignal.timeout(20_000))
    expect(results[0]?.state).toBe('stored')
    await until(() => relay.meters.get('out')?.looped === 1, slow)
    expect(new Set(await readLogIds(store))).toEqual(new Set([...own.map(({ id }) => id), foreign.id]))
  }, 120_000)

  it('lets a bridge stop soon after its grace while the server does not answer, and the next one has all that it left', async () => {
    const { store } = await createTestDatabase({ max: 20 })
    await store.query('create table effects (at bigint generated always as identity, id text)')
    const handler = defineHandler({
      name: 'test.effects',
      on: ['*'],
      start: 'earliest',
      handle: async (event, { sql }) => void (await sql.query('insert into effects (id) values ($1)', [event.id])),
    })
    const sinks = [{ name: 'out', url: broker.url + forgetful, topic, lanes: 2, start: 'earliest' as const }]
    const start = async () => {
      const bridge = createBridge({ store, handlers: [handler], sinks, consume: 'out', grace: '300ms' })
      onTestFinished(() => bridge.stop())
      await bridge.start()
      return bridge
    }
    const bridge = await start()
    await commit(store, 20)
    await until(async () => (await count(store, 'effects')) === 20, slow)
    // The one that was started may be a script around the server.
    const all = familyOf(broker.pid)
    for (const pid of all) signal(pid, 'SIGSTOP')
    const thaw = () => {
      for (const pid of all) signal(pid, 'SIGCONT')
    }
    onTestFinished(thaw)
    await commit(store, 20, { from: 20 })
    await until(async () => (await count(store, 'evt.log')) === 40, slow)
    const began = performance.now()
    await bridge.stop()
    expect(performance.now() - began).toBeLessThan(20_000)
    thaw()
    await start()
    await until(async () => (await count(store, 'effects')) >= 40, slow)
    const { rows } = await store.query('select count(distinct id)::int as ids, count(*)::int as n from effects')
    expect(rows).toEqual([{ ids: 40, n: 40 }])
  }, 120_000)

  it('loses nothing, does nothing twice and keeps the order while its processes are killed', async () => {
    const { store, url } = await createTestDatabase({ max: 20 })
    await store.query('create table effects (at bigint generated always as identity, id text, subject text, n integer)')
    const sink = { name: 'out', url: broker.url + forgetful, topic, lanes: 4, start: 'earliest' as const }
    const processes: ChildProcess[] = []
    const launch = (instance: string) =>
      new Promise<ChildProcess>((resolve) => {
        const child = spawn(process.execPath, [new URL('./consumer-process.ts', import.meta.url).pathname], {
          env: { ...process.env, BRIDGE: JSON.stringify({ url, sink, instance }) },
          stdio: ['ignore', 'pipe', 'inherit'],
        })
        processes.push(child)
        child.stdout?.once('data', () => resolve(child))
      })
    onTestFinished(() => {
      for (const child of processes) child.kill('SIGKILL')
    })
    let [one, other] = await Promise.all([launch('p0'), launch('p1')])
    for (let round = 0; round < 4; round += 1) {
      await commit(store, 200, { subjects: 20, from: round * 200 })
      await until(async () => (await count(store, 'effects')) > round * 150, slow)
      one.kill('SIGKILL')
      ;[one, other] = [other, await launch(`p${round + 2}`)]
    }
    await until(async () => (await count(store, 'effects')) >= 800, { withinMs: 90_000 })
    const { rows } = await store.query('select id, subject, n from effects order by at')
    expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length)
    for (const own of Map.groupBy(rows, ({ subject }) => subject).values())
      expect(own.map(({ n }) => n)).toEqual(own.map((_, i) => i + 1))
  }, 240_000)
})
