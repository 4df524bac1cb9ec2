import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { connectRedis } from '../../../src/transports/redis/connect.ts'
import type { RedisContext } from '../../../src/transports/redis/context.ts'
import { closeForeignLanes, type ForeignTiming, foreignLanes } from '../../../src/transports/redis/foreign.ts'
import { openRedis } from '../../../src/transports/redis/index.ts'
import { parseRedisUrl } from '../../../src/transports/redis/options.ts'
import { createTopics } from '../../../src/transports/redis/topic.ts'
import type { Lane, LaneOptions, Received } from '../../../src/transports/transport.ts'
import { type PrivateRedis, startPrivateRedis } from '../../setup/private-redis.ts'
import { startTcpProxy } from '../../setup/tcp-proxy.ts'
import { until } from '../../setup/until.ts'
import { textOf } from './watching.ts'

let server: PrivateRedis
let redis: Redis

beforeAll(async () => {
  server = await startPrivateRedis({ users: ['user narrow on >pw ~f* +@all -@dangerous'] })
  redis = new Redis(server.url)
})
afterAll(async () => {
  redis.disconnect()
  await server.stop()
})

let serial = 0
const fresh = () => `f${process.pid}:${++serial}`
const quick: ForeignTiming = { idleMs: 600, touchMs: 100 }
const add = (stream: string, data: unknown) => redis.xadd(stream, '*', 'data', JSON.stringify(data))

/** A member of a group with what only the transport sees of it. */
async function join(
  stream: string,
  { url = server.url, timing = quick, ...given }: Partial<LaneOptions> & { url?: string; timing?: ForeignTiming } = {},
) {
  const options = parseRedisUrl(url)
  const connections = await connectRedis(options)
  const closing = new AbortController()
  const problems: string[] = []
  const context = {
    options,
    connections,
    topics: createTopics(connections, options.place),
    closing: closing.signal,
    onProblem: (error: Error) => void problems.push(error.message),
  } as unknown as RedisContext
  const laneOptions: LaneOptions = {
    prefetch: 100,
    patterns: [],
    start: 'earliest',
    lanes: 1,
    member: 'm1',
    signal: closing.signal,
    ...given,
  }
  const topic = { name: stream, ours: false, streams: [stream] }
  const lanes: Lane[] = []
  const run = async () => {
    for await (const lane of foreignLanes(context, topic, 'g', laneOptions, timing)) lanes.push(lane)
  }
  const done = run()
  done.catch(() => {})
  const close = async () => {
    closing.abort()
    await closeForeignLanes(context)
    connections.close()
  }
  /** Ends its connections without a word, as kill -9 would. */
  const die = () => connections.close()
  onTestFinished(close)
  return {
    problems,
    lanes,
    done,
    close,
    die,
    lane: () => until(() => lanes.find((lane) => !lane.lost.aborted), { withinMs: 10_000 }),
  }
}

async function takeAll(lane: Lane, count: number, withinMs = 10_000): Promise<Received[]> {
  const taken: Received[] = []
  const signal = AbortSignal.timeout(withinMs)
  while (taken.length < count && !signal.aborted) taken.push(...(await lane.take(count - taken.length, signal)))
  return taken
}

const pendingOf = async (stream: string) => Number(((await redis.xpending(stream, 'g')) as unknown[])[0])

describe('a plain group on a stream of somebody else', () => {
  it('hands out in order, acknowledges what is settled, and never more than the prefetch', async () => {
    const stream = fresh()
    for (let n = 1; n <= 10; n++) await add(stream, n)
    const member = await join(stream, { prefetch: 4 })
    const lane = await member.lane()
    const first = await takeAll(lane, 4)
    expect(await lane.take(5, AbortSignal.timeout(300))).toEqual([])
    await lane.settle(first)
    const rest: Received[] = []
    while (rest.length < 6) {
      const batch = await lane.take(2, AbortSignal.timeout(5_000))
      rest.push(...batch)
      await lane.settle(batch)
    }
    expect([...first, ...rest].map(textOf)).toEqual(Array.from({ length: 10 }, (_, n) => String(n + 1)))
    expect([...first, ...rest].every(({ deliveries }) => deliveries === 1)).toBe(true)
    await until(async () => (await pendingOf(stream)) === 0)
    const live = takeAll(lane, 1)
    await add(stream, 'live')
    expect((await live).map(textOf)).toEqual(['"live"'])
  })

  it('gives a release its turn although its owner takes on and on', async () => {
    const stream = fresh()
    const member = await join(stream)
    const lane = await member.lane()
    const signal = AbortSignal.timeout(10_000)
    const released = lane.release()
    let takes = 0
    while (!lane.lost.aborted && takes < 1_000) {
      expect(await lane.take(1, signal)).toEqual([])
      takes++
    }
    await released
    expect(takes).toBe(1)
  })

  it('starts at what is new when it is told to, and keeps its place ever after', async () => {
    const stream = fresh()
    await add(stream, 'old')
    const first = await join(stream, { start: 'latest' })
    await first.lane()
    await first.close()
    await add(stream, 'new')
    const second = await join(stream, { start: 'latest' })
    expect((await takeAll(await second.lane(), 1)).map(textOf)).toEqual(['"new"'])
  })

  it('belongs to one member at a time; what it did not settle comes to the next, in order, as never started', async () => {
    const stream = fresh()
    for (let n = 1; n <= 6; n++) await add(stream, n)
    const one = await join(stream, { member: 'one' })
    const lane = await one.lane()
    const two = await join(stream, { member: 'two' })
    const taken = await takeAll(lane, 5)
    await lane.settle(taken.slice(0, 2))
    expect(two.lanes).toEqual([])
    await one.close()
    const rest = await takeAll(await two.lane(), 4)
    expect(rest.map(textOf)).toEqual(['3', '4', '5', '6'])
    expect(rest.every(({ deliveries }) => deliveries === 1)).toBe(true)
  })

  it('what a dead member may have started comes first, alone, and says so', async () => {
    const stream = fresh()
    for (let n = 1; n <= 4; n++) await add(stream, n)
    const one = await join(stream)
    await takeAll(await one.lane(), 2)
    one.die()
    const two = await join(stream)
    const lane = await until(() => two.lanes[0], { withinMs: 15_000 })
    const suspects: Received[] = []
    for (let n = 0; n < 2; n++) {
      const batch = await lane.take(10, AbortSignal.timeout(10_000))
      expect(batch).toHaveLength(1)
      expect(await lane.take(10, AbortSignal.timeout(300))).toEqual([])
      suspects.push(...batch)
      await lane.settle(batch)
    }
    expect(suspects.map((one) => [textOf(one), one.deliveries])).toEqual([
      ['1', 2],
      ['2', 2],
    ])
    expect((await takeAll(lane, 2)).map((one) => [textOf(one), one.deliveries])).toEqual([
      ['3', 1],
      ['4', 1],
    ])
  }, 30_000)

  it('takes over what another consumer left, and leaves alone what it is still at', async () => {
    const stream = fresh()
    for (let n = 1; n <= 4; n++) await add(stream, n)
    await redis.xgroup('CREATE', stream, 'g', '0')
    await redis.xreadgroup('GROUP', 'g', 'alive', 'COUNT', 1, 'STREAMS', stream, '>')
    await redis.xreadgroup('GROUP', 'g', 'dead', 'COUNT', 1, 'STREAMS', stream, '>')
    const [first] = (await redis.xrange(stream, '-', '+')) as [string, string[]][]
    const working = setInterval(() => void redis.xclaim(stream, 'g', 'alive', 0, first?.[0] ?? '', 'JUSTID'), 100)
    onTestFinished(() => clearInterval(working))
    const member = await join(stream)
    const lane = await member.lane()
    const got: string[] = []
    const signal = AbortSignal.timeout(3_000)
    while (!signal.aborted) {
      const batch = await lane.take(10, signal)
      got.push(...batch.map(textOf))
      await lane.settle(batch)
    }
    expect(got).toEqual(['3', '4', '2'])
  }, 20_000)

  it('does not let others take over what a slow handler has', async () => {
    const stream = fresh()
    await add(stream, 'slow')
    const member = await join(stream)
    const lane = await member.lane()
    const [slow] = await takeAll(lane, 1)
    const stolen: string[] = []
    const until2 = performance.now() + 2_000
    while (performance.now() < until2) {
      const [, entries] = (await redis.xautoclaim(stream, 'g', 'thief', quick.idleMs, '0-0')) as [string, [string][]]
      stolen.push(...entries.map(([id]) => id))
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    expect(stolen).toEqual([])
    await lane.settle(slow ? [slow] : [])
    await until(async () => (await pendingOf(stream)) === 0)
  }, 20_000)

  it('skips what was deleted before it was handled, and tells how many', async () => {
    const stream = fresh()
    for (let n = 1; n <= 5; n++) await add(stream, n)
    await redis.xgroup('CREATE', stream, 'g', '0')
    await redis.xreadgroup('GROUP', 'g', 'g-1', 'COUNT', 3, 'STREAMS', stream, '>')
    await redis.xtrim(stream, 'MAXLEN', 3)
    const member = await join(stream)
    const lane = await member.lane()
    const got: string[] = []
    while (got.length < 3) {
      const batch = await lane.take(10, AbortSignal.timeout(5_000))
      got.push(...batch.map(textOf))
      await lane.settle(batch)
    }
    expect(got).toEqual(['3', '4', '5'])
    expect(member.problems).toEqual([
      `cannot hand out 2 entries of ${stream}: they were deleted before they were handled`,
    ])
    await until(async () => (await pendingOf(stream)) === 0)
  })

  it('makes its group again when it or everything was removed, and says so', async () => {
    const stream = fresh()
    await add(stream, 'first')
    const member = await join(stream)
    const lane = await member.lane()
    await lane.settle(await takeAll(lane, 1))
    await until(async () => (await pendingOf(stream)) === 0)
    await redis.xgroup('DESTROY', stream, 'g')
    await add(stream, 'second')
    expect((await takeAll(lane, 1)).map(textOf)).toEqual(['"second"'])
    await redis.flushall()
    await add(stream, 'third')
    const third = takeAll(await until(() => member.lanes.findLast((one) => !one.lost.aborted)), 1)
    expect((await third).map(textOf)).toEqual(['"third"'])
    expect(member.problems.filter((problem) => /it was made again/.test(problem)).length).toBeGreaterThanOrEqual(1)
  })

  it('goes on after the server was killed, and after a half-open connection', async () => {
    const mortal = await startPrivateRedis()
    onTestFinished(() => mortal.stop())
    const stream = fresh()
    const put = (data: string) => mortal.command('xadd', stream, '*', 'data', JSON.stringify(data))
    await put('first')
    const proxy = await startTcpProxy(mortal.port)
    onTestFinished(() => proxy.close())
    const member = await join(stream, { url: proxy.through(mortal.url) })
    const lane = await member.lane()
    await lane.settle(await takeAll(lane, 1))
    await mortal.kill('SIGKILL')
    await mortal.restart()
    await put('second')
    const next = async () => takeAll(await until(() => member.lanes.findLast((one) => !one.lost.aborted)), 1)
    expect((await next()).map(textOf)).toContain('"second"')
    const waiting = next()
    const connected = proxy.connections
    proxy.freeze()
    await put('third')
    await until(() => proxy.connections > connected, { withinMs: 8_000, what: 'a new connection' })
    proxy.cut()
    proxy.thaw()
    expect((await waiting).map(textOf)).toEqual(['"third"'])
  }, 60_000)

  it('shares without order where no lease may be written, under the member’s name, and says so', async () => {
    const stream = fresh()
    await redis.call('ACL', 'SETUSER', 'narrow', 'resetkeys', `~${stream}`)
    for (let n = 1; n <= 3; n++) await add(stream, n)
    const member = await join(stream, { url: server.url.replace('evt:evt@', 'narrow:pw@'), member: 'billing-1' })
    const lane = await member.lane()
    expect((await takeAll(lane, 3)).map(textOf)).toEqual(['1', '2', '3'])
    expect(member.problems).toEqual([expect.stringContaining('no lease may be written')])
    expect(((await redis.xinfo('CONSUMERS', stream, 'g')) as string[][])[0]?.[1]).toBe('billing-1')
  })

  it('fences what an owner still settles that has lost its lane', async () => {
    const stream = fresh()
    await add(stream, 1)
    const member = await join(stream)
    const lane = await member.lane()
    const taken = await takeAll(lane, 1)
    await redis.hset(`{${stream}}:evt:members:g`, 'l:0', '99999999999999999 somebody')
    await lane.settle(taken)
    await until(() => lane.lost.aborted)
    expect(await pendingOf(stream)).toBe(1)
  })

  it('ends what waits, and closes within seconds, while the server is away', async () => {
    const lonely = await startPrivateRedis()
    onTestFinished(() => lonely.stop())
    const stream = fresh()
    await lonely.command('xadd', stream, '*', 'data', '1')
    const transport = await openRedis(lonely.url)
    const signal = new AbortController().signal
    const options = { prefetch: 10, patterns: [], start: 'earliest', lanes: 1, member: 'm', signal } as const
    const lanes = transport.lanes?.([stream], 'g', options)[Symbol.asyncIterator]()
    const first = await lanes?.next()
    const lane: Lane | undefined = first?.value ?? undefined
    expect(await lane?.take(10, signal)).toHaveLength(1)
    const [waiting, observed] = [
      lane?.take(10, signal),
      transport
        .observe({ topics: [stream], patterns: [] }, { from: 'now', follow: true, signal })
        [Symbol.asyncIterator]()
        .next(),
    ]
    await lonely.kill('SIGKILL')
    const started = performance.now()
    await transport.close()
    expect(await waiting).toEqual([])
    expect((await observed).done).toBe(true)
    expect(performance.now() - started).toBeLessThan(5_000)
  }, 20_000)

  it('refuses a key that is no stream', async () => {
    const key = fresh()
    await redis.set(key, 'x')
    const member = await join(key)
    await expect(member.done).rejects.toMatchObject({
      code: 'usage',
      message: `cannot use ${key}: it is a string, not a stream`,
    })
  })
})
