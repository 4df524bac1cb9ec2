import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { EvtError } from '../../../src/core/errors.ts'
import { createRandom } from '../../../src/core/random.ts'
import type { LogAppender, Transport } from '../../../src/transports/transport.ts'
import { type PrivateRedis, startPrivateRedis } from '../../setup/private-redis.ts'
import { type PrivateRedisPair, startPrivateRedisPair } from '../../setup/redis-pair.ts'
import { losePower, rewriteAppendOnlyFile } from '../../setup/redis-power.ts'
import { until } from '../../setup/until.ts'
import { consume, expectInOrder } from './consuming.ts'
import {
  connect,
  type Entry,
  expectAsLogged,
  makeEntries,
  openLog,
  openTransport,
  readLogOf,
  relay,
  storedIds,
} from './sink.ts'

// Redis lost what it had said it had: what the relay does about it, and what consumers see of it.

const lanes = 4
const patient = { batch: 100, withinMs: 60_000 }

interface Sink {
  readonly transport: Transport
  readonly appender: LogAppender
}

async function openSink(url: string, log: readonly Entry[], epoch = 1n): Promise<Sink> {
  const transport = await openTransport(url, { readLog: readLogOf(log) })
  await transport.ensure([{ name: 'sink', lanes }], 'create')
  return { transport, appender: await openLog(transport, 'sink', epoch) }
}

describe('a power loss', () => {
  let redis: PrivateRedis
  beforeAll(async () => {
    redis = await startPrivateRedis()
  })
  afterAll(() => redis.stop())

  it('that cuts the append-only file anywhere, under load: every lane is again as the log is', async () => {
    const seed = Math.floor(Math.random() * 1_000_000)
    const random = createRandom(seed)
    const cuts = 4
    const log = makeEntries(1_000 * (cuts + 1), { keys: 100 })
    const { transport, appender } = await openSink(redis.url, log)
    const consumer = consume(transport)
    // Who cannot join because the server is away is told so.
    await until(() => consumer.owned.length === lanes, { withinMs: 20_000, what: 'a consumer with its lanes' })
    const told: string[] = []
    for (let cut = 1; cut <= cuts; cut++) {
      const relaying = relay(appender, log.slice(0, cut * 1_000), { ...patient, batch: 20 })
      await delay(random() * 100)
      const { lost, of } = await losePower(redis, (size) => random() * size)
      told.push(`${lost} of ${of} bytes`)
      await rewriteAppendOnlyFile(redis)
      await relaying
    }
    await relay(appender, log, patient)
    const why = `seed ${seed}: ${told.join(', ')} lost`
    console.info(why)
    await expectAsLogged(connect(redis.url), log, { why })
    await until(() => consumer.ids().size === log.length, { withinMs: 30_000, what: `${why}: everything comes` })
    expectInOrder(consumer.received)
    await consumer.stop()
  }, 120_000)

  it('that takes a topic before its first entry: it is one of ours again', async () => {
    await redis.command('flushall')
    const log = makeEntries(100)
    const { appender } = await openSink(redis.url, log)
    await redis.command('flushall')
    await relay(appender, log, patient)
    const other = await openTransport(redis.url)
    expect(await other.ensure([{ name: 'sink', lanes }], 'check')).toEqual([])
  })

  it('and another one, after which Redis does what it had not done the first time: consumers see each entry once', async () => {
    await redis.command('flushall')
    await rewriteAppendOnlyFile(redis)
    const log = makeEntries(300, { keys: 100 })
    const { transport, appender } = await openSink(redis.url, log)
    await relay(appender, log.slice(0, 100), patient)
    // The end of the last transaction, and what stands before it stays.
    await losePower(redis, () => 3)
    await relay(appender, log.slice(0, 200), patient)
    await losePower(redis, () => 0)
    const stored = (await storedIds(connect(redis.url), 'sink', lanes)).flat()
    expect(new Set(stored).size).toBeLessThan(stored.length)
    await relay(appender, log, patient)
    const consumer = consume(transport)
    await until(() => consumer.ids().size === log.length, { withinMs: 20_000, what: 'everything comes' })
    expect(consumer.received.length).toBe(log.length)
    expectInOrder(consumer.received)
    await consumer.stop()
  }, 60_000)
})

describe('a fail-over to a replica that is 2,000 entries behind', () => {
  let pair: PrivateRedisPair
  const log = makeEntries(5_000, { keys: 100 })

  /** The first 1,000 are at the replica; `meanwhile` brings the primary to 3,000. */
  async function failOver(meanwhile: (leader: Sink) => Promise<void>): Promise<Sink> {
    pair = await startPrivateRedisPair()
    onTestFinished(() => pair.stop())
    const leader = await openSink(pair.url, log)
    await relay(leader.appender, log.slice(0, 1_000), patient)
    await pair.caughtUp()
    pair.holdBack()
    await meanwhile(leader)
    await pair.failOver()
    await expectAsLogged(connect(pair.primary.url), log.slice(0, 1_000))
    return leader
  }
  const lead = ({ appender }: Sink) => relay(appender, log.slice(0, 3_000), patient).then(() => {})

  it('is made good by the relay, and consumers get everything in order', async () => {
    let consumer: ReturnType<typeof consume> | undefined
    const { appender } = await failOver(async (leader) => {
      const consuming = consume(leader.transport)
      await lead(leader)
      await until(() => consuming.received.length === 3_000, { withinMs: 20_000, what: 'all that was lost afterwards' })
      consumer = consuming
    })
    await relay(appender, log, patient)
    await expectAsLogged(connect(pair.primary.url), log)
    await until(() => consumer?.ids().size === log.length, { withinMs: 20_000, what: 'everything comes' })
    expectInOrder(consumer?.received ?? [])
  }, 60_000)

  it('keeps out the late batch of a zombie', async () => {
    const zombie = await failOver(lead)
    const leader = await openSink(pair.url, log, 2n)
    const late = async () => {
      const append = zombie.appender.append(log.slice(3_000, 3_100), 3_100n, AbortSignal.timeout(5_000))
      return new Set((await append.catch(() => [])).map(({ state }) => state))
    }
    expect(await late()).not.toContain('stored')
    const asking = () => zombie.appender.mark().then(String, (error: EvtError) => error.code)
    await until(async () => (await asking()) === 'fenced', { what: 'a fenced zombie' })
    expect(await late()).not.toContain('stored')
    await relay(leader.appender, log, patient)
    await expectAsLogged(connect(pair.primary.url), log)
  }, 60_000)

  it('takes from a zombie that the replica still takes for the leader what is in the log, and from then on nothing', async () => {
    let leader: Sink | undefined
    const zombie = await failOver(async () => {
      leader = await openSink(pair.url, log, 2n)
      await lead(leader)
    })
    const late = (from: number) =>
      zombie.appender.append(log.slice(from, from + 100), BigInt(from + 100), AbortSignal.timeout(5_000))
    // It stands where the replica stands.
    await late(1_000).catch(() => {})
    if (leader) await relay(leader.appender, log, patient)
    await expect(zombie.appender.mark()).rejects.toMatchObject({ code: 'fenced' })
    await expectAsLogged(connect(pair.primary.url), log)
  }, 60_000)
})
