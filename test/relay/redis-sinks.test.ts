import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../../src/bridge.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import type { Store } from '../../src/store/connection.ts'
import { createTestDatabase } from '../setup/database.ts'
import { type PrivateRedis, startPrivateRedis } from '../setup/private-redis.ts'
import { until } from '../setup/until.ts'
import { bySubject, commit, memoryUrl, readLogIds, readTopic, runSinks, sinkRow } from './sinking.ts'

const idsOf = (all: readonly { readonly id: string }[]) => all.map(({ id }) => id)
const slow = { withinMs: 30_000 }

/** Each subject's events are there once, in the order of the log. */
async function expectSame(store: Store, url: string, topic: string): Promise<void> {
  const [log, got] = [await readLogIds(store), await readTopic(url, topic)]
  expect(idsOf(got).toSorted()).toEqual(log.toSorted())
  const places = new Map(log.map((id, at) => [id, at]))
  for (const own of bySubject(got).values()) {
    const at = own.map(({ id }) => places.get(id) ?? -1)
    expect(at).toEqual(at.toSorted((a, b) => a - b))
  }
}

describe('sinks on a real Redis', () => {
  let redis: PrivateRedis
  let topic = ''
  beforeAll(async () => {
    redis = await startPrivateRedis()
  }, 60_000)
  afterAll(() => redis.stop())
  beforeEach(() => {
    topic = `t${randomUUID().slice(0, 8)}`
  })
  const sink = (more = {}) => ({ name: 'out', url: redis.url, topic, start: 'earliest' as const, lanes: 4, ...more })

  it('have the log, each lane in its order, and keep nobody waiting while their server is dead', async () => {
    const { store } = await createTestDatabase()
    const other = memoryUrl()
    const relay = runSinks(store, [sink(), { name: 'other', url: other, start: 'earliest' }])
    await commit(store, 500, { subjects: 20 })
    await until(async () => (await sinkRow(store, 'out')).position === 500n, slow)
    await redis.kill('SIGKILL')
    await commit(store, 500, { subjects: 20, from: 500 })
    expect(await readTopic(other, 'events', 1_000)).toHaveLength(1_000)
    await until(() => relay.meters.get('out')?.waiting !== undefined, slow)
    await redis.restart()
    await until(async () => (await sinkRow(store, 'out')).position === 1_000n, slow)
    await expectSame(store, redis.url, topic)
    expect(relay.meters.get('out')?.dead).toBe(0)
  }, 90_000)

  it('get again what FLUSHALL took, with and without new events', async () => {
    const { store } = await createTestDatabase()
    runSinks(store, [sink()])
    await commit(store, 300, { subjects: 20 })
    await until(async () => (await sinkRow(store, 'out')).position === 300n, slow)
    await redis.command('flushall')
    await commit(store, 100, { subjects: 20, from: 300 })
    await until(async () => (await sinkRow(store, 'out')).position === 400n, slow)
    await until(async () => (await readTopic(redis.url, topic)).length === 400, slow)
    await expectSame(store, redis.url, topic)
    await redis.command('flushall')
    await until(async () => (await readTopic(redis.url, topic)).length === 400, slow)
    await expectSame(store, redis.url, topic)
  }, 90_000)

  it('name a stream for each type as the documents do', async () => {
    const { store } = await createTestDatabase()
    runSinks(store, [sink({ layout: 'per-type', lanes: 1, topic: undefined, prefix: `${topic}:` })])
    await commit(store, 10, { type: 'user.created' })
    await until(async () => (await sinkRow(store, 'out')).position === 10n, slow)
    expect(await redis.command('xlen', `${topic}:user.created`)).toBe(10)
  })

  it('are the same after processes that carried them were killed at any moment', async () => {
    const { store, url } = await createTestDatabase()
    let stopped = false
    const relays = (async () => {
      for (let round = 0; !stopped; round += 1) {
        const child = spawn(process.execPath, [new URL('./relay-process.ts', import.meta.url).pathname], {
          env: { ...process.env, RELAY: JSON.stringify({ url, sink: sink(), instance: `k${round}` }) },
          stdio: ['ignore', 'pipe', 'inherit'],
        })
        const ended = new Promise((resolve) => child.once('exit', resolve))
        await new Promise<void>((resolve) => {
          child.stdout.once('data', () => resolve())
          child.once('exit', () => resolve())
        })
        await new Promise((resolve) => setTimeout(resolve, 40 + ((round * 37) % 160)))
        child.kill('SIGKILL')
        await ended
        // By hand what 2.5 s would do to its lease.
        await store.query(`update evt.relay set lease_until = clock_timestamp() - interval '1 s'`)
      }
    })()
    for (let n = 0; n < 12; n += 1) {
      await commit(store, 100, { subjects: 20, from: n * 100 })
      await new Promise((resolve) => setTimeout(resolve, 150))
    }
    stopped = true
    await relays
    runSinks(store, [sink()], { instance: 'last' })
    await until(async () => (await sinkRow(store, 'out')).position === 1_200n, slow)
    await expectSame(store, redis.url, topic)
  }, 120_000)

  it('feed handlers, each event once and in order, while consumers come and go', async () => {
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
        if (n % 20 === 7 && !failed.has(event.id)) {
          failed.add(event.id)
          throw new Error('not yet')
        }
        await sql.query('insert into effects (id, subject, n) values ($1, $2, $3)', [event.id, event.subject, n])
      },
    })
    const start = async () => {
      const bridge = createBridge({ store, handlers: [handler], sinks: [sink()], consume: 'out', grace: '2s' })
      onTestFinished(() => bridge.stop())
      await bridge.start()
      return bridge
    }
    const first = await start()
    const second = await start()
    await commit(store, 400, { subjects: 20 })
    await first.stop()
    await commit(store, 400, { subjects: 20, from: 400 })
    const third = await start()
    await second.stop()
    await commit(store, 400, { subjects: 20, from: 800 })
    const count = async () => Number((await store.query('select count(*) as n from effects')).rows[0]?.n)
    await until(async () => (await count()) >= 1_200, { withinMs: 60_000 })
    const { rows } = await store.query('select id, subject, n from effects order by at')
    expect(new Set(rows.map(({ id }) => id)).size).toBe(1_200)
    for (const own of Map.groupBy(rows, ({ subject }) => subject).values())
      expect(own.map(({ n }) => n)).toEqual(own.map((_, i) => i + 1))
    await third.stop()
  }, 120_000)

  it('have sources beside them: a stream that others write, and Pub/Sub, which is at most once', async () => {
    const { store } = await createTestDatabase()
    const stream = `foreign-${topic}`
    await redis.command('xadd', stream, '*', 'event_type', 'user.created', 'user_id', '7')
    const sources = [
      { name: 'stream', url: `${redis.url}?stream=${stream}`, start: 'earliest' as const },
      { name: 'pubsub', url: `${redis.url}?pubsub=${topic}.*` },
    ]
    const relay = runSinks(store, [], { sources })
    await until(() => relay.taken.get('stream')?.taken === 1, slow)
    await until(() => relay.messages.some(({ message }) => message.includes('without history')), slow)
    await until(async () => {
      await redis.command('publish', `${topic}.a`, '{"hello":"world"}')
      return (relay.taken.get('pubsub')?.taken ?? 0) > 0
    }, slow)
    await redis.command('xadd', stream, '*', 'data', '{"n":2}')
    await until(() => relay.taken.get('stream')?.taken === 2, slow)
    expect(relay.taken.get('stream')?.dead).toBe(0)
    const { rows } = await store.query('select type, metadata from evt.outbox order by seq')
    expect(rows.some(({ type }) => type === `${topic}.a`)).toBe(true)
    expect(rows.every(({ metadata }) => (metadata as { evthops?: string }).evthops === '1')).toBe(true)
  }, 60_000)
})
