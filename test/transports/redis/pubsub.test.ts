import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type PrivateRedis, startPrivateRedis } from '../../setup/private-redis.ts'
import { startTcpProxy } from '../../setup/tcp-proxy.ts'
import { until } from '../../setup/until.ts'
import { openTold, watch } from './watching.ts'

let server: PrivateRedis
let redis: Redis

beforeAll(async () => {
  server = await startPrivateRedis({ users: ['user deaf on >pw ~* resetchannels +@all'] })
  redis = new Redis(server.url)
})
afterAll(async () => {
  redis.disconnect()
  await server.stop()
})

let serial = 0
const fresh = () => `p${process.pid}.${++serial}`
const now = { from: 'now', follow: true } as const

/** Publishes until somebody heard it. */
const heard = (channel: string) => until(async () => (await redis.publish(channel, 'ready')) > 0)

describe('Pub/Sub', () => {
  it('shows what is published on its channels and patterns, whatever bytes it is, in order', async () => {
    const base = fresh()
    const { transport } = await openTold(`${server.url}?pubsub=${base}.*`)
    expect(transport.named).toEqual([`${base}.*`])
    expect(transport.observes).toBe('SUBSCRIBE and PSUBSCRIBE, at most once')
    const observer = watch(transport, [`${base}.*`, base], now)
    await heard(`${base}.a`)
    await heard(base)
    await redis.publish(`${base}.user`, '{"event":"user.created"}')
    await redis.publish(base, Buffer.from([0, 255, 10]))
    await redis.publish(`${base}.user`, '')
    await redis.publish(`other${base}.user`, 'not this')
    await until(() => observer.seen.at(-1)?.body.length === 0)
    expect(observer.seen.slice(-3).map(({ topic, body }) => [topic, ...body.subarray(0, 3)])).toEqual([
      [`${base}.user`, 123, 34, 101],
      [base, 0, 255, 10],
      [`${base}.user`],
    ])
    await observer.stop()
  })

  it('replays nothing and says so', async () => {
    const { transport } = await openTold(`${server.url}?pubsub=${fresh()}`)
    await expect(watch(transport, [], { from: 'start' }).done).rejects.toMatchObject({
      code: 'unsupported',
      hint: expect.stringContaining('--since now'),
    })
    await expect(watch(transport, [], { from: 'now', follow: false }).done).rejects.toMatchObject({
      code: 'unsupported',
    })
  })

  it('subscribes again after its connection was cut, and tells that something may be missing', async () => {
    const channel = fresh()
    const { transport, problems } = await openTold(`${server.url}?pubsub=${channel}`)
    const observer = watch(transport, [], now)
    await heard(channel)
    await redis.call('client', 'kill', 'type', 'pubsub')
    await until(() => problems.length > 0)
    await heard(channel)
    expect(problems).toEqual([
      expect.stringMatching(
        /^cannot show all of .*: the connection was lost for \d+ s, and what was published meanwhile is lost$/,
      ),
    ])
    await observer.stop()
  })

  it('notices a half-open connection by its heartbeat', async () => {
    const channel = fresh()
    const proxy = await startTcpProxy(server.port)
    onTestFinished(() => proxy.close())
    const { transport, problems } = await openTold(`${proxy.through(server.url)}?pubsub=${channel}`)
    const observer = watch(transport, [], now)
    await heard(channel)
    const connected = proxy.connections
    proxy.freeze()
    await until(() => proxy.connections > connected, { withinMs: 8_000, what: 'a new connection' })
    proxy.cut()
    proxy.thaw()
    await until(() => problems.length > 0)
    await heard(channel)
    await observer.stop()
  }, 20_000)

  it('stays within its memory when nobody reads, and tells how many were not shown', async () => {
    const channel = fresh()
    const { transport, problems } = await openTold(`${server.url}?pubsub=${channel}`)
    const ended = new AbortController()
    const observed = transport.observe({ topics: [], patterns: [] }, { ...now, signal: ended.signal })
    const first = observed[Symbol.asyncIterator]()
    const next = first.next()
    await heard(channel)
    await next
    const body = Buffer.alloc(16 * 1024, 120)
    for (let n = 0; n < 12_000; n += 500) {
      const pipeline = redis.pipeline()
      for (let at = 0; at < 500; at++) pipeline.publish(channel, body)
      await pipeline.exec()
    }
    const { value } = await first.next()
    const later = first.next()
    await heard(channel)
    await later
    expect(value?.reduce((sum: number, { body }: { body: Uint8Array }) => sum + body.length, 0)).toBeLessThan(
      40 * 1024 * 1024,
    )
    await until(() => problems.some((problem) => /\d+ messages came faster than they were read$/.test(problem)))
    ended.abort()
  }, 20_000)

  it('leaves no subscription behind, and closes while it waits', async () => {
    const channel = fresh()
    const { transport } = await openTold(`${server.url}?pubsub=${channel}`)
    const { done } = watch(transport, [], now)
    await heard(channel)
    await transport.close()
    await done
    await until(async () => (await redis.publish(channel, 'x')) === 0)
  })

  it('names what a user may not hear', async () => {
    const channel = fresh()
    const { transport } = await openTold(`${server.url.replace('evt:evt@', 'deaf:pw@')}?pubsub=${channel}`)
    await expect(watch(transport, [], now).done).rejects.toMatchObject({
      code: 'connect',
      message: `cannot subscribe to ${channel}: user deaf may not SUBSCRIBE on ${channel}`,
      hint: `grant it on the server: ACL SETUSER deaf &${channel}`,
    })
  })
})
