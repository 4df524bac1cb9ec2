import { expect, it, onTestFinished } from 'vitest'
import { groupsKey, streamsOf } from '../../../src/transports/redis/topic.ts'
import { startPrivateRedis } from '../../setup/private-redis.ts'
import { startTcpProxy } from '../../setup/tcp-proxy.ts'
import { until } from '../../setup/until.ts'
import { connect, makeEntries, openTransport } from './sink.ts'

it('a take that is aborted while its mark is on the way has started nothing', async () => {
  const redis = await startPrivateRedis()
  onTestFinished(() => redis.stop())
  const proxy = await startTcpProxy(Number(new URL(redis.url).port))
  onTestFinished(() => proxy.close())
  const own = async (url: string) => {
    const transport = await openTransport(url)
    await transport.ensure([{ name: 'sink', lanes: 1 }], 'create')
    const asking = new AbortController()
    const options = {
      prefetch: 100,
      patterns: [],
      start: 'earliest',
      lanes: 1,
      member: url,
      signal: asking.signal,
    } as const
    for await (const lane of transport.lanes?.(['sink'], 'g', options) ?? []) {
      asking.abort()
      return lane
    }
    throw new Error('no lane')
  }
  const client = connect(redis.url)
  const [stream = ''] = streamsOf('sink', 1)
  /** `<epoch> <settled> <started> …` */
  const started = async () => (await client.hget(groupsKey(stream), 'g'))?.split(' ')[2]
  const first = await own(proxy.through(redis.url))
  const publisher = await openTransport(redis.url)
  await publisher.publish('sink', makeEntries(5), AbortSignal.timeout(5_000))
  await first.settle(await first.take(1, AbortSignal.timeout(5_000)))
  const before = await until(started)
  proxy.delay(400)
  expect(await first.take(4, AbortSignal.timeout(200))).toEqual([])
  proxy.delay(0)
  await until(async () => (await started()) === before, { what: 'the mark is taken back' })
  await proxy.close()
  const second = await own(redis.url)
  const taken = await second.take(4, AbortSignal.timeout(20_000))
  expect(taken.map(({ deliveries }) => deliveries)).toEqual([1, 1, 1, 1])
})
