import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type PrivateRedis, startPrivateRedis } from '../../setup/private-redis.ts'
import { connect, makeEntries, openTransport } from './sink.ts'

describe('topics in Redis', () => {
  let redis: PrivateRedis
  beforeAll(async () => {
    redis = await startPrivateRedis()
  })
  afterAll(() => redis.stop())

  it('are compared with what is asked for, made where they are missing, and never changed', async () => {
    const [one, other] = [await openTransport(redis.url), await openTransport(redis.url)]
    const four = { name: 'orders', lanes: 4 }
    expect(await one.ensure([four], 'check')).toMatchObject([{ topic: 'orders', problem: 'missing' }])
    expect(await one.ensure([four], 'create')).toEqual([])
    expect(await other.ensure([four], 'check')).toEqual([])
    const differences = await other.ensure([{ name: 'orders', lanes: 8 }], 'create')
    expect(differences).toMatchObject([{ topic: 'orders', problem: 'it has 4 lanes, not 8' }])
    expect(await one.ensure([four], 'check')).toEqual([])
  })

  it('are the key itself with one lane, and numbered keys with several', async () => {
    const transport = await openTransport(redis.url)
    await transport.ensure(
      [
        { name: 'events:user.created', lanes: 1 },
        { name: 'events:all', lanes: 3 },
      ],
      'create',
    )
    for (const topic of ['events:user.created', 'events:all'])
      await transport.publish(topic, makeEntries(60), AbortSignal.timeout(5_000))
    const client = connect(redis.url)
    expect((await client.keys('events:*')).toSorted()).toEqual([
      'events:all:0',
      'events:all:1',
      'events:all:2',
      'events:user.created',
    ])
  })

  it('are not made over keys that are no streams', async () => {
    const transport = await openTransport(redis.url)
    await redis.command('set', 'taken', 'x')
    const differences = await transport.ensure([{ name: 'taken', lanes: 1 }], 'create')
    expect(differences).toMatchObject([{ problem: 'the key taken is a string, not a stream' }])
    const [result] = await transport.publish('taken', makeEntries(1), AbortSignal.timeout(5_000))
    expect(result).toMatchObject({ state: 'refused', error: { code: 'usage' } })
  })

  it('are released within seconds by a close while the server answers nothing', async () => {
    const frozen = await startPrivateRedis()
    onTestFinished(() => frozen.stop())
    const transport = await openTransport(frozen.url)
    await transport.ensure([{ name: 'orders', lanes: 2 }], 'create')
    const options = { prefetch: 1, patterns: [], start: 'earliest', lanes: 2, member: 'm' } as const
    const signal = new AbortController().signal
    const iteration = transport.lanes?.(['orders'], 'g', { ...options, signal })[Symbol.asyncIterator]()
    const lane = (await iteration?.next())?.value
    const taking = lane?.take(1, signal)
    await frozen.kill('SIGSTOP')
    const started = performance.now()
    await transport.close()
    expect(performance.now() - started).toBeLessThan(4_000)
    expect(await taking).toEqual([])
    expect(lane?.lost.aborted).toBe(true)
    await frozen.kill('SIGCONT')
  })
})
