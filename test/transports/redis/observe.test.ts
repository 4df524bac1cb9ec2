import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type PrivateRedis, startPrivateRedis } from '../../setup/private-redis.ts'
import { startTcpProxy } from '../../setup/tcp-proxy.ts'
import { until } from '../../setup/until.ts'
import { openTold, textOf, watch } from './watching.ts'

let server: PrivateRedis
let redis: Redis

beforeAll(async () => {
  server = await startPrivateRedis({ users: ['user reader on >pw ~lim:* +@read +ping -@dangerous'] })
  redis = new Redis(server.url)
})
afterAll(async () => {
  redis.disconnect()
  await server.stop()
})

let serial = 0
const fresh = (name = 's') => `${name}${process.pid}:${++serial}`
const open = (path = '') => openTold(`${server.url}${path}`)
const add = (stream: string, data: unknown, id = '*') => redis.xadd(stream, id, 'data', JSON.stringify(data))

async function fill(stream: string, count: number, body: string | Buffer = '{}'): Promise<void> {
  for (let at = 0; at < count; at += 1_000) {
    const pipeline = redis.pipeline()
    for (let n = at; n < Math.min(count, at + 1_000); n++) pipeline.xadd(stream, '*', 'data', body)
    await pipeline.exec()
  }
}

describe('history', () => {
  it('of several streams comes in the order of the server’s times, each entry once', async () => {
    const [one, two, three] = [fresh(), fresh(), fresh()]
    for (let n = 1; n <= 3_000; n++) redis.xadd([one, two][n % 2] as string, `${1_000 + n}-0`, 'data', String(n))
    await add(three, 'future', '99999999999999-7')
    const { transport } = await open()
    const { done, seen } = watch(transport, [one, two, three, fresh('missing')], { follow: false })
    await done
    expect(seen.map(({ timeMs }) => timeMs)).toEqual(
      seen.map(({ timeMs }) => timeMs).toSorted((a, b) => (a ?? 0) - (b ?? 0)),
    )
    expect(seen.slice(0, 3_000).map((one) => Number(textOf(one)))).toEqual(
      Array.from({ length: 3_000 }, (_, n) => n + 1),
    )
    expect(seen.at(-1)).toMatchObject({ topic: three, at: '99999999999999-7', deliveries: 1 })
  })

  it('starts at a time and at a position, which is shown too', async () => {
    const stream = fresh()
    for (const ms of [1_000, 2_000, 3_000]) await add(stream, ms, `${ms}-0`)
    const { transport } = await open()
    const texts = async (from: { timeMs: number } | { position: string }) => {
      const { done, texts } = watch(transport, [stream], { from, follow: false })
      await done
      return texts()
    }
    expect(await texts({ timeMs: 1_000.7 })).toEqual(['1000', '2000', '3000'])
    expect(await texts({ timeMs: 1_001 })).toEqual(['2000', '3000'])
    expect(await texts({ timeMs: -5 })).toHaveLength(3)
    expect(await texts({ position: '2000-0' })).toEqual(['2000', '3000'])
    expect(await texts({ position: '0-0' })).toHaveLength(3)
    await expect(texts({ position: 'offset 5' })).rejects.toMatchObject({ code: 'usage' })
  })

  it('shows entries with impossible times, and follows what comes after them', async () => {
    const stream = fresh()
    await add(stream, 'far', '18446744073709551615-1')
    const { transport } = await open()
    const observer = watch(transport, [stream])
    await until(() => observer.seen.length === 1)
    await add(stream, 'last', '18446744073709551615-18446744073709551615')
    await until(() => observer.seen.length === 2)
    expect(observer.seen[1]?.timeMs).toBeUndefined()
    await observer.stop()
    const again = watch(transport, [stream], { follow: false })
    await again.done
    expect(again.texts()).toEqual(['"far"', '"last"'])
  })

  it('keeps its memory bounded: 20 MiB messages, and 200,000 small ones at more than 50,000 a second of processor', async () => {
    const [big, small] = [fresh(), fresh()]
    onTestFinished(async () => void (await redis.unlink(big, small)))
    for (let n = 0; n < 6; n++) await redis.xadd(big, '*', 'data', Buffer.alloc(20 * 1024 * 1024, 120))
    await fill(small, 200_000, Buffer.alloc(380 - 40, 120))
    const { transport } = await open()
    const signal = AbortSignal.timeout(60_000)
    let [count, bytes, most] = [0, 0, 0]
    const before = process.memoryUsage().rss
    const started = process.cpuUsage()
    for await (const batch of transport.observe(
      { topics: [small], patterns: [] },
      { from: 'start', follow: false, signal },
    )) {
      count += batch.length
      most = Math.max(most, process.memoryUsage().rss)
    }
    const { user, system } = process.cpuUsage(started)
    const perSecond = count / ((user + system) / 1_000_000)
    for await (const batch of transport.observe(
      { topics: [big], patterns: [] },
      { from: 'start', follow: false, signal },
    )) {
      for (const { body } of batch) bytes += body.length
    }
    console.info(`observe: ${Math.round(perSecond)} a second, ${Math.round((most - before) / 1024 ** 2)} MiB more`)
    expect(count).toBe(200_000)
    expect(bytes).toBeGreaterThan(6 * 20 * 1024 * 1024)
    expect(perSecond).toBeGreaterThan(50_000)
    expect(most - before).toBeLessThan(200 * 1024 * 1024)
  }, 90_000)
})

describe('following', () => {
  it('shows what is stored from now on, of streams that exist and that do not yet', async () => {
    const [one, two] = [fresh(), fresh()]
    await add(one, 'before')
    const { transport } = await open()
    const observer = watch(transport, [one, two], { from: 'now' })
    await until(async () => {
      await add(one, 'after')
      return observer.seen.length > 0
    })
    await add(two, 'new')
    await until(() => observer.texts().includes('"new"'))
    expect(new Set(observer.texts())).toEqual(new Set(['"after"', '"new"']))
    await observer.stop()
  })

  it('takes up streams that begin to match its glob, from their start, and passes over what is no stream', async () => {
    const base = fresh('glob')
    await add(`${base}.a`, 1)
    await redis.set(`${base}.text`, 'no stream')
    const { transport } = await openTold(`${server.url}/0?stream=${encodeURIComponent(`${base}.*`)}`)
    expect(transport.named).toEqual([`${base}.*`])
    const observer = watch(transport, [])
    await until(() => observer.seen.length === 1)
    await add(`${base}.b`, 2)
    await add(`${base}.b`, 3)
    await add(`other${base}.b`, 4)
    await add(`${base}.a:dlq`, 5)
    await until(() => observer.seen.length >= 3)
    expect(observer.texts()).toEqual(['1', '2', '3'])
    expect(observer.seen[1]?.topic).toBe(`${base}.b`)
    await observer.stop()
  })

  it('goes on when a stream becomes something else, when it is removed, and when it begins anew', async () => {
    const [one, two] = [fresh(), fresh()]
    for (const stream of [one, two]) await add(stream, 'first')
    const { transport, problems } = await open()
    const observer = watch(transport, [one, two])
    await until(() => observer.seen.length === 2)
    await redis.multi().del(one).set(one, 'text').exec()
    await until(() => problems.some((problem) => problem === `cannot use ${one}: it is a string, not a stream`))
    await add(two, 'still')
    await until(() => observer.texts().includes('"still"'))
    await redis.del(one)
    await add(one, 'anew', '5-0')
    await until(() => observer.texts().includes('"anew"'))
    await observer.stop()
  })

  it('is found again after the server was killed, and after everything was flushed', async () => {
    const mortal = await startPrivateRedis()
    onTestFinished(() => mortal.stop())
    const stream = fresh()
    const put = (data: string) => mortal.command('xadd', stream, '*', 'data', JSON.stringify(data))
    await put('first')
    const { transport, problems } = await openTold(mortal.url)
    const observer = watch(transport, [stream])
    await until(() => observer.seen.length === 1)
    await mortal.kill('SIGKILL')
    await mortal.restart()
    await put('second')
    await until(() => observer.texts().includes('"second"'))
    await mortal.command('flushall')
    await put('third')
    await until(() => observer.texts().includes('"third"'))
    expect(problems).toEqual([])
    await observer.stop()
  })

  it('does not wait for ever at a half-open connection', async () => {
    const stream = fresh()
    await add(stream, 'first')
    const proxy = await startTcpProxy(server.port)
    onTestFinished(() => proxy.close())
    const { transport } = await openTold(proxy.through(server.url))
    const observer = watch(transport, [stream])
    await until(() => observer.seen.length === 1)
    const connected = proxy.connections
    proxy.freeze()
    await add(stream, 'second')
    await until(() => proxy.connections > connected, { withinMs: 7_000, what: 'a new connection' })
    // What the frozen ones held back never arrives: only the new connection can show it.
    proxy.cut()
    proxy.thaw()
    await until(() => observer.texts().includes('"second"'), { withinMs: 10_000 })
    await observer.stop()
  }, 30_000)

  it('wants only types that match, where an entry tells its type', async () => {
    const stream = fresh()
    await redis.xadd(stream, '*', 'ce-type', 'user.created', 'ce-id', 'e1', 'data', '1')
    await redis.xadd(stream, '*', 'ce-type', 'order.placed', 'ce-id', 'e2', 'data', '2')
    await add(stream, 3)
    const { transport } = await open()
    const { done, seen, texts } = watch(transport, [stream], { follow: false, patterns: ['user.*'] })
    await done
    expect(texts()).toEqual(['1', '3'])
    expect(seen[0]).toMatchObject({ id: 'e1', headers: { 'ce-type': 'user.created' } })
  })
})

describe('what it is given', () => {
  it('refuses a key that is no stream, naming what it is', async () => {
    const key = fresh()
    await redis.sadd(key, 'x')
    const { transport } = await open()
    const { done } = watch(transport, [key])
    await expect(done).rejects.toMatchObject({ code: 'usage', message: `cannot use ${key}: it is a set, not a stream` })
  })

  it('refuses to observe nothing', async () => {
    const { transport } = await open()
    await expect(watch(transport, []).done).rejects.toMatchObject({ code: 'usage' })
  })

  it('works for a user who may only read these streams; for others it names what is missing', async () => {
    const [mine, other] = [fresh('lim:'), fresh('secret:')]
    for (const stream of [mine, other]) await add(stream, stream)
    const { transport, problems } = await openTold(server.url.replace('evt:evt@', 'reader:pw@'))
    const observer = watch(transport, [mine])
    await until(() => observer.seen.length === 1)
    await add(mine, 'more')
    await until(() => observer.seen.length === 2)
    expect(problems).toEqual([])
    await observer.stop()
    await expect(watch(transport, [other]).done).rejects.toMatchObject({
      code: 'connect',
      message: `cannot use ${other}: user reader may not XREVRANGE on ${other}`,
      hint: `grant it on the server: ACL SETUSER reader ~${other}`,
    })
  })
})
