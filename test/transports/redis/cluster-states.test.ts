import { setTimeout as delay } from 'node:timers/promises'
import { Cluster } from 'ioredis'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import type { EvtError } from '../../../src/core/errors.ts'
import { type PrivateRedisCluster, startPrivateRedisCluster } from '../../setup/private-redis.ts'
import { moveSlotOf } from '../../setup/redis-slots.ts'
import { until } from '../../setup/until.ts'
import { consume, expectInOrder } from './consuming.ts'
import { expectAsLogged, makeEntries, openLog, openTransport, readLogOf, relay } from './sink.ts'

// A cluster without one of its masters, and one that moves slots, under a relay, a consumer and a plain group.

let server: PrivateRedisCluster
let redis: Cluster
const lanes = 4
const within = { withinMs: 30_000 }

beforeAll(async () => {
  server = await startPrivateRedisCluster({ args: ['--cluster-require-full-coverage', 'yes'] })
  redis = new Cluster(server.nodes.map(({ port }) => ({ host: '127.0.0.1', port })))
  redis.on('error', () => {})
}, 60_000)
afterAll(async () => {
  redis.disconnect()
  await server.stop()
})

async function start(topic: string) {
  const log = makeEntries(3_000, { keys: 100 })
  const problems: string[] = []
  const transport = await openTransport(server.url, {
    readLog: readLogOf(log),
    onProblem: (error) => problems.push(error.message),
  })
  await transport.ensure([{ name: topic, lanes }], 'create')
  const appender = await openLog(transport, topic, 1n)
  const consumer = consume(transport, 'g', { topics: [topic] })
  await relay(appender, log.slice(0, 500))
  await until(() => consumer.received.length === 500, within)
  return {
    transport,
    problems,
    carry: (to: number) => relay(appender, log.slice(0, to), { batch: 10, withinMs: 60_000 }),
    async settled() {
      await until(() => consumer.received.length >= log.length, { ...within, what: 'everything comes' })
      await expectAsLogged(redis, log, { topic })
      expect(consumer.received.length).toBe(log.length)
      expectInOrder(consumer.received)
    },
  }
}

it('a slot that moves to another master, with all that lies in it, takes its lanes along', async () => {
  const { carry, problems, settled } = await start('moving')
  const carrying = carry(3_000)
  // The topic and who owns which lane, each lane, and a lane back again.
  for (const key of ['moving', 'moving:0', 'moving:1', 'moving:2', 'moving:3', 'moving:1'])
    await moveSlotOf(key, server)
  await carrying
  await settled()
  expect(problems).toEqual([])
}, 90_000)

it('a plain group goes on where its stream went', async () => {
  const { problems, transport } = await start('beside')
  const stopping = new AbortController()
  onTestFinished(() => stopping.abort())
  const seen: string[] = []
  await redis.xadd('elsewhere', '*', 'data', '0')
  const reading = (async () => {
    const options = { prefetch: 10, patterns: [], start: 'earliest', lanes: 1, member: 'm' } as const
    for await (const lane of transport.lanes?.(['elsewhere'], 'g', { ...options, signal: stopping.signal }) ?? [])
      void (async () => {
        while (!lane.lost.aborted && !stopping.signal.aborted) {
          const batch = await lane.take(10, stopping.signal)
          seen.push(...batch.map(({ body }) => Buffer.from(body).toString()))
          await lane.settle(batch)
        }
      })()
  })()
  reading.catch(() => {})
  await until(() => seen.length === 1, within)
  const adding = (async () => {
    for (let n = 1; n <= 200; n++) {
      await redis.xadd('elsewhere', '*', 'data', String(n))
      await delay(2)
    }
  })()
  await moveSlotOf('elsewhere', server)
  await adding
  await until(() => seen.length >= 201, { ...within, what: 'all that was added' })
  expect(seen).toEqual(Array.from({ length: 201 }, (_, n) => String(n)))
  expect(problems).toEqual([])
}, 60_000)

it('that is down as a whole, because one master is gone, says so and is waited for', async () => {
  const { carry, problems, settled, transport } = await start('down')
  const [gone] = server.nodes
  await gone?.kill('SIGKILL')
  const refusal = await until(
    async () => {
      const results = await transport.publish('nearby', makeEntries(1), AbortSignal.timeout(5_000))
      const errors = results.flatMap((one) => ('error' in one ? [one.error as EvtError] : []))
      return errors.find(({ message }) => /is down/.test(message))
    },
    { ...within, what: 'a cluster that is down' },
  )
  expect(refusal).toMatchObject({ code: 'connect', hint: expect.stringMatching(/CLUSTER INFO/) })
  const carrying = carry(3_000)
  await gone?.restart()
  await carrying
  await settled()
  expect(problems).toEqual([])
}, 90_000)
