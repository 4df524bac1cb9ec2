import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { connectRedis } from '../../../src/transports/redis/connect.ts'
import { parseRedisUrl } from '../../../src/transports/redis/options.ts'
import { bellOf, groupsKey, streamsOf } from '../../../src/transports/redis/topic.ts'
import { createTrimmer } from '../../../src/transports/redis/trim.ts'
import { type PrivateRedis, startPrivateRedis } from '../../setup/private-redis.ts'
import { until } from '../../setup/until.ts'
import { consume, expectInOrder } from './consuming.ts'
import { connect, makeEntries, openLog, openTransport, readLogOf, relay } from './sink.ts'

const lanes = 4
const signal = () => AbortSignal.timeout(10_000)

describe('lanes in Redis', () => {
  let redis: PrivateRedis
  beforeAll(async () => {
    redis = await startPrivateRedis()
  })
  afterAll(() => redis.stop())

  async function fresh(query = '', options: Parameters<typeof openTransport>[1] = {}) {
    await redis.command('flushall')
    const transport = await openTransport(redis.url + query, options)
    await transport.ensure([{ name: 'sink', lanes }], 'create')
    return { transport, client: connect(redis.url) }
  }

  /** Instead of waiting for the time. */
  async function trimNow(query = '?retain=0'): Promise<void> {
    const options = parseRedisUrl(redis.url + query)
    const connections = await connectRedis(options)
    onTestFinished(() => connections.close())
    const trimmer = createTrimmer(connections, options)
    await Promise.all(streamsOf('sink', lanes).map(trimmer.trim))
  }

  it('fetches from the log what was trimmed away in front of a group', async () => {
    const log = makeEntries(400)
    const { transport, client } = await fresh('', { readLog: readLogOf(log) })
    const appender = await openLog(transport, 'sink', 1n)
    await relay(appender, log.slice(0, 100))
    const first = consume(transport)
    await until(() => first.received.length === 100)
    await first.stop()
    await relay(appender, log.slice(0, 300))
    for (let lane = 0; lane < lanes; lane++) await client.xtrim(`sink:${lane}`, 'MAXLEN', 5)
    const second = consume(transport)
    await relay(appender, log)
    await until(() => second.received.length >= 300, { what: 'everything comes' })
    expect(new Set([...first.ids(), ...second.ids()]).size).toBe(400)
    expectInOrder([...first.received, ...second.received])
    expect(new Set(second.received.map(({ at, key }) => `${key} ${at}`)).size).toBe(300)
  })

  it('fetches from the log what is gone from the end, with nothing after it', async () => {
    const log = makeEntries(200)
    const { transport, client } = await fresh('', { readLog: readLogOf(log) })
    const appender = await openLog(transport, 'sink', 1n)
    await relay(appender, log.slice(0, 100))
    const first = consume(transport)
    await until(() => first.received.length === 100)
    await first.stop()
    await relay(appender, log)
    for (let lane = 0; lane < lanes; lane++) await client.xtrim(`sink:${lane}`, 'MAXLEN', 0)
    const second = consume(transport)
    await until(() => second.received.length >= 100, { what: 'everything comes' })
    expectInOrder([...first.received, ...second.received])
  })

  it('says what is missing where there is no log to fetch it from, and goes on', async () => {
    const log = makeEntries(200)
    const problems: string[] = []
    const { transport, client } = await fresh('', { onProblem: (error) => problems.push(error.message) })
    const appender = await openLog(transport, 'sink', 1n)
    await relay(appender, log.slice(0, 100))
    const consumer = consume(transport)
    await until(() => consumer.received.length === 100)
    await consumer.stop()
    await relay(appender, log)
    for (let lane = 0; lane < lanes; lane++) await client.xtrim(`sink:${lane}`, 'MAXLEN', 1)
    const second = consume(transport)
    await until(() => second.received.length >= lanes)
    expect(problems.filter((text) => text.includes('are gone from Redis')).length).toBeGreaterThan(0)
  })

  it('goes on after FLUSHALL under load: nothing is lost, nothing comes again', async () => {
    const log = makeEntries(3_000, { keys: 100 })
    const { transport, client } = await fresh('', { readLog: readLogOf(log) })
    const appender = await openLog(transport, 'sink', 1n)
    const consumer = consume(transport)
    const relaying = (async () => {
      for (let to = 100; to <= log.length; to += 100) {
        await relay(appender, log.slice(0, to))
        if (to === 1_000) await client.flushall()
        await delay(5)
      }
    })()
    await relaying
    await until(() => consumer.ids().size === log.length, { withinMs: 20_000, what: 'everything comes' })
    expectInOrder(consumer.received)
    await consumer.stop()
    // And what the next owner finds is where this one stood.
    const next = consume(transport)
    const more = makeEntries(20, { first: 3_001 })
    await relay(appender, [...log, ...more])
    await until(() => next.received.length >= 20)
    expect(next.received.map(({ id }) => id).toSorted()).toEqual(more.map(({ id }) => id).toSorted())
  })

  it('takes direct messages again after FLUSHALL', async () => {
    const { transport, client } = await fresh()
    const consumer = consume(transport)
    const [before, after] = [makeEntries(50), makeEntries(50)]
    await transport.publish('sink', before, signal())
    await until(() => consumer.received.length === 50)
    await client.flushall()
    await transport.publish('sink', after, signal())
    await until(() => consumer.ids().size === 100, { what: 'what came later' })
  })

  it('heals a stream, a group or a membership that somebody deleted', async () => {
    const log = makeEntries(400)
    const { transport, client } = await fresh('', { readLog: readLogOf(log) })
    const appender = await openLog(transport, 'sink', 1n)
    const consumer = consume(transport)
    await relay(appender, log.slice(0, 100))
    await until(() => consumer.received.length === 100)
    await client.del('{sink}:evt:members:g')
    await relay(appender, log.slice(0, 200))
    await until(() => consumer.received.length === 200)
    for (let lane = 0; lane < lanes; lane++) await client.del(`sink:${lane}`)
    await relay(appender, log.slice(0, 300))
    await until(() => consumer.received.length === 300, { withinMs: 10_000, what: 'after the streams' })
    for (let lane = 0; lane < lanes; lane++) await client.del(groupsKey(`sink:${lane}`))
    await relay(appender, log)
    await until(() => consumer.received.length === 400, { what: 'after the groups' })
    expectInOrder(consumer.received)
    expect(consumer.owned.length).toBe(lanes)
    await consumer.stop()
    const next = consume(transport)
    await relay(appender, [...log, ...makeEntries(20, { first: 401 })])
    await until(() => next.received.length >= 20)
    expect(next.received.length).toBe(20)
  })

  it('hands out what others XADD to its streams, each once, among its own', async () => {
    const log = makeEntries(100)
    const { transport, client } = await fresh()
    const appender = await openLog(transport, 'sink', 1n)
    const consumer = consume(transport)
    await relay(appender, log.slice(0, 50))
    await client.xadd('sink:0', '*', 'hello', 'world')
    await client.xadd('sink:1', `${Date.now() + 60_000}-0`, 'data', '{"a":1}')
    await relay(appender, log)
    await until(() => consumer.received.length >= 102)
    expect(consumer.ids().size).toBe(102)
    const bodies = consumer.received
      .filter(({ log }) => log === undefined)
      .map(({ body }) => Buffer.from(body).toString())
    expect(bodies.toSorted()).toEqual(['{"a":1}', '{"hello":"world"}'])
    await consumer.stop()
    const again = consume(transport)
    await relay(appender, [...log, ...makeEntries(8, { first: 101, keys: 8 })])
    await until(() => again.received.length >= 8)
    expect(again.received.length).toBe(8)
  })

  it('trims what every group has settled, and nothing that a slow one has not', async () => {
    const { transport, client } = await fresh('?retain=0')
    const lengths = async () => Promise.all([0, 1, 2, 3].map((lane) => client.xlen(`sink:${lane}`)))
    const total = async () => (await lengths()).reduce((a, b) => a + b, 0)
    const gate = Promise.withResolvers<void>()
    const swift = consume(transport, 'swift')
    const slow = consume(transport, 'slow', { prefetch: 10, onTake: () => gate.promise })
    await until(() => swift.owned.length + slow.owned.length === 2 * lanes)
    for (let i = 0; i < 20; i++) await transport.publish('sink', makeEntries(500, { keys: 100 }), signal())
    await until(() => swift.received.length === 10_000)
    await trimNow()
    expect(await total()).toBe(10_000)
    gate.resolve()
    await until(() => slow.received.length === 10_000, { withinMs: 15_000 })
    // By itself, within seconds of the last settle.
    await until(async () => (await total()) < 1_000, { withinMs: 15_000, what: 'trimmed' })
  }, 60_000)

  it('keeps as many settled entries as it is told to, and those of the time that it is told', async () => {
    const { transport, client } = await fresh('?retain=0')
    const consumer = consume(transport)
    await transport.publish('sink', makeEntries(3_000, { keys: 1 }), signal())
    await until(() => consumer.received.length === 3_000)
    await consumer.stop()
    const stream = (await client.keys('sink:?'))[0] as string
    await trimNow('?retain=1h')
    expect(await client.xlen(stream)).toBe(3_000)
    await trimNow('?retain=1000')
    expect(await client.xlen(stream)).toBeGreaterThanOrEqual(1_000)
    expect(await client.xlen(stream)).toBeLessThan(1_200)
  })

  it('never trims what a plain group of somebody else has not acknowledged', async () => {
    const { transport, client } = await fresh('?retain=0')
    await transport.publish('sink', makeEntries(1, { keys: 1 }), signal())
    const stream = (await client.keys('sink:?'))[0] as string
    await client.xgroup('CREATE', stream, 'others', '0')
    const consumer = consume(transport)
    await transport.publish('sink', makeEntries(2_000, { keys: 1 }), signal())
    await until(() => consumer.received.length === 2_001)
    await client.xreadgroup('GROUP', 'others', 'c', 'COUNT', 1_000, 'STREAMS', stream, '>')
    await consumer.stop()
    await trimNow()
    expect(await client.xlen(stream)).toBe(2_001)
    const ids = (await client.xrange(stream, '-', '+', 'COUNT', 900)).map(([id]) => id)
    const [first = ''] = ids
    await client.xack(stream, 'others', ...ids)
    await trimNow()
    expect(await client.xlen(stream)).toBeLessThan(1_300)
    const pending = (await client.xpending(stream, 'others')) as unknown[]
    expect(pending[0]).toBe(100)
    expect(await client.xrange(stream, String(pending[1]), String(pending[1]))).toHaveLength(1)
    expect(await client.xrange(stream, first, first)).toHaveLength(0)
  })
})

describe('a doorbell that does not ring', () => {
  it('is made up for by looking: a user without channels hears nothing, and gets everything soon', async () => {
    const redis = await startPrivateRedis({ users: ['user mute on >mute ~* resetchannels +@all'] })
    onTestFinished(() => redis.stop())
    const transport = await openTransport(redis.url.replace('evt:evt@', 'mute:mute@'))
    await transport.ensure([{ name: 'sink', lanes }], 'create')
    const consumer = consume(transport)
    await until(() => consumer.owned.length === lanes)
    const started = performance.now()
    const results = await transport.publish('sink', makeEntries(40), signal())
    expect(new Set(results.map(({ state }) => state))).toEqual(new Set(['stored']))
    await until(() => consumer.received.length === 40)
    expect(performance.now() - started).toBeLessThan(1_000)
  })

  it('is looked past more often once somebody has written without ringing', async () => {
    const redis = await startPrivateRedis({ users: ['user mute on >mute ~* resetchannels +@all'] })
    onTestFinished(() => redis.stop())
    const transport = await openTransport(redis.url)
    const mute = await openTransport(redis.url.replace('evt:evt@', 'mute:mute@'))
    await transport.ensure([{ name: 'sink', lanes }], 'create')
    const consumer = consume(transport)
    await until(() => consumer.owned.length === lanes)
    const waited: number[] = []
    for (const [at, entry] of makeEntries(4).entries()) {
      const started = performance.now()
      await mute.publish('sink', [entry], signal())
      await until(() => consumer.received.length === at + 1)
      waited.push(performance.now() - started)
    }
    expect(waited[0]).toBeLessThan(4_000)
    // Every half second; the machine may be busy.
    expect(Math.min(...waited.slice(1))).toBeLessThan(1_000)
  }, 20_000)
})

describe('an idle consumer', () => {
  it('asks Redis little: three groups of eight lanes', async () => {
    const redis = await startPrivateRedis()
    onTestFinished(() => redis.stop())
    const transport = await openTransport(redis.url)
    await transport.ensure([{ name: 'sink', lanes: 8 }], 'create')
    const groups = ['a', 'b', 'c'].map((group) => consume(transport, group))
    await transport.publish('sink', makeEntries(40), signal())
    await until(() => groups.every(({ owned, received }) => owned.length === 8 && received.length === 40))
    // What is settled is written within a second.
    await delay(1_000)
    const before = await commandsOf(redis)
    await delay(4_000)
    // Its members beat twice a second each; every stream is looked at every other second.
    expect(((await commandsOf(redis)) - before) / 4).toBeLessThan(15)
  }, 20_000)
})

describe('a lane whose place cannot be written', () => {
  it('tries again at its own pace, however often its bell rings', async () => {
    const redis = await startPrivateRedis()
    onTestFinished(() => redis.stop())
    const transport = await openTransport(redis.url)
    await transport.ensure([{ name: 'sink', lanes: 1 }], 'create')
    const client = connect(redis.url)
    const consumer = consume(transport)
    await until(() => consumer.owned.length === 1)
    // A later owner was here; the lease does not say so yet.
    const state = await client.hget(groupsKey('sink'), 'g')
    await client.hset(groupsKey('sink'), 'g', `9000000000000000${state?.slice(state.indexOf(' '))}`)
    await transport.publish('sink', makeEntries(1), signal())
    for (let ring = 0; ring < 150; ring++) {
      await client.publish(bellOf('sink'), '')
      await delay(5)
    }
    const before = await commandsOf(redis)
    await delay(1_000)
    expect((await commandsOf(redis)) - before).toBeLessThan(40)
  })
})

/** What clients have asked so far: scripts as one command each. */
async function commandsOf(redis: PrivateRedis): Promise<number> {
  const asked = /^cmdstat_(?:evalsha|xrange|xread|ping):calls=(\d+)/gm
  const stats = String(await redis.command('info', 'commandstats'))
  return [...stats.matchAll(asked)].reduce((sum, [, calls]) => sum + Number(calls), 0)
}
