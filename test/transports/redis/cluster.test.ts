import { Cluster } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Burial, BuriedMessage, Lane } from '../../../src/transports/transport.ts'
import { type PrivateRedisCluster, startPrivateRedisCluster } from '../../setup/private-redis.ts'
import { until } from '../../setup/until.ts'
import { openTold, textOf, watch } from './watching.ts'

let server: PrivateRedisCluster
let redis: Cluster

beforeAll(async () => {
  server = await startPrivateRedisCluster()
  redis = new Cluster(server.nodes.map(({ port }) => ({ host: '127.0.0.1', port })))
}, 60_000)
afterAll(async () => {
  redis.disconnect()
  await server.stop()
})

const add = (stream: string, data: unknown) => redis.xadd(stream, '*', 'data', JSON.stringify(data))

it('observes streams on all nodes, merged, found by a glob, and such that appear later', async () => {
  for (let n = 0; n < 12; n++) await add(`c.${n % 6}`, n)
  const { transport, problems } = await openTold(`${server.url}&stream=${encodeURIComponent('c.*')}`)
  const before = await transport.footprint?.([])
  const observer = watch(transport, [])
  await until(() => observer.seen.length === 12)
  expect(observer.seen.map((one) => one.timeMs)).toEqual(
    observer.seen.map((one) => one.timeMs).toSorted((a, b) => (a ?? 0) - (b ?? 0)),
  )
  expect(await transport.footprint?.([])).toEqual(before)
  await add('c.0', 'live')
  await add('c.later', 'later')
  await until(() => observer.seen.length === 14, { withinMs: 10_000 })
  await observer.stop()
  expect((await transport.inspect(['c.0', 'c.5'])).topics.map(({ messages }) => messages)).toEqual([3, 2])
  expect(problems).toEqual([])
})

it('buries, lists and replays across slots', async () => {
  const { transport } = await openTold(server.url)
  const letters = transport.deadLetters
  await transport.ensure([{ name: 'orders', lanes: 3 }], 'create')
  const burials = Array.from(
    { length: 6 },
    (_, n): Burial => ({
      message: {
        id: `m${n}`,
        key: `k${n}`,
        headers: {},
        body: Buffer.from(String(n)),
        topic: 'orders',
        at: `${n + 1}-0`,
        deliveries: 1,
      },
      group: 'g',
      error: { class: 'E', message: 'x' },
      attempts: 1,
    }),
  )
  const signal = AbortSignal.timeout(10_000)
  expect((await letters?.bury('orders', burials, signal))?.map(({ state }) => state)).toEqual(Array(6).fill('stored'))
  const found: BuriedMessage[] = []
  for await (const batch of letters?.list('orders:dlq', signal) ?? []) found.push(...batch)
  const results = await letters?.replay(
    'orders:dlq',
    found.map(({ id }) => id),
    { signal },
  )
  expect(results?.map(({ state }) => state)).toEqual(Array(6).fill('stored'))
  const observer = watch(transport, ['orders'], { follow: false })
  await observer.done
  expect(observer.seen.map(textOf).toSorted()).toEqual(['0', '1', '2', '3', '4', '5'])
  expect(await redis.xlen('orders:dlq')).toBe(0)
})

it('reads a stream of somebody else through a group', async () => {
  for (let n = 1; n <= 3; n++) await add('foreign.stream', n)
  const { transport, problems } = await openTold(server.url)
  const ending = new AbortController()
  const signal = ending.signal
  const lanes: Lane[] = []
  const options = { prefetch: 10, patterns: [], start: 'earliest', lanes: 1, member: 'm', signal } as const
  for await (const lane of transport.lanes?.(['foreign.stream'], 'g', options) ?? []) {
    lanes.push(lane)
    ending.abort()
  }
  const [lane] = lanes
  const taken = await until(() => lane?.take(10, AbortSignal.timeout(5_000)))
  expect(taken.map(textOf)).toEqual(['1', '2', '3'])
  await lane?.settle(taken)
  await lane?.release()
  expect(((await redis.xpending('foreign.stream', 'g')) as unknown[])[0]).toBe(0)
  expect(problems).toEqual([])
})
