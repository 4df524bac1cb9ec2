import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PrivateRedis, startPrivateRedis } from '../../setup/private-redis.ts'
import { until } from '../../setup/until.ts'
import { openTold, watch } from './watching.ts'

let server: PrivateRedis
let redis: Redis

beforeAll(async () => {
  server = await startPrivateRedis({ users: ['user reader on >pw ~* +@read +ping'] })
  redis = new Redis(server.url)
})
afterAll(async () => {
  redis.disconnect()
  await server.stop()
})

let serial = 0
const fresh = () => `i${process.pid}:${++serial}`

async function fill(stream: string, count: number): Promise<void> {
  const pipeline = redis.pipeline()
  for (let n = 1; n <= count; n++) pipeline.xadd(stream, `${1_000_000 + n}-0`, 'data', String(n))
  await pipeline.exec()
}

describe('inspect', () => {
  it('tells how much lies in a topic, and nothing of one that is not there', async () => {
    const stream = fresh()
    await fill(stream, 20)
    const { transport } = await openTold(server.url)
    const { topics, groups } = await transport.inspect([stream, fresh()])
    expect(topics).toEqual([{ topic: stream, messages: 20, head: '1000020-0', lastTimeMs: 1_000_020 }])
    expect(groups).toEqual([])
  })

  it('counts what a plain group has not acknowledged, where Redis’s own lag lies: after a trim', async () => {
    const stream = fresh()
    await fill(stream, 100)
    await redis.xgroup('CREATE', stream, 'g', '0')
    await redis.xreadgroup('GROUP', 'g', 'c', 'COUNT', 30, 'STREAMS', stream, '>')
    await redis.xack(stream, 'g', ...Array.from({ length: 20 }, (_, n) => `${1_000_001 + n}-0`))
    const { transport } = await openTold(server.url)
    const state = async () => (await transport.inspect([stream])).groups
    const [first] = await state()
    expect(first).toMatchObject({ group: 'g', topic: stream, lagMessages: 80, members: 1 })
    expect(Math.abs((first?.oldestAgeMs ?? 0) - (Date.now() - 1_000_021))).toBeLessThan(5_000)
    await redis.xtrim(stream, 'MAXLEN', 50)
    await redis.xack(stream, 'g', ...Array.from({ length: 10 }, (_, n) => `${1_000_021 + n}-0`))
    const info = (await redis.xinfo('GROUPS', stream)) as unknown[][]
    expect(info[0]?.at(-1)).not.toBe(50)
    expect((await state())[0]?.lagMessages).toBe(50)
    await redis.xreadgroup('GROUP', 'g', 'c', 'COUNT', 100, 'NOACK', 'STREAMS', stream, '>')
    expect((await state())[0]).toMatchObject({ lagMessages: 0 })
    expect((await state())[0]).not.toHaveProperty('oldestAgeMs')
  })

  it('counts long ways from the nearer end', async () => {
    const stream = fresh()
    for (let at = 0; at < 60_000; at += 1_000) {
      const pipeline = redis.pipeline()
      for (let n = at + 1; n <= at + 1_000; n++) pipeline.xadd(stream, `${n}-0`, 'a', 'b')
      await pipeline.exec()
    }
    const { transport } = await openTold(server.url)
    for (const delivered of [7, 30_000, 59_990]) {
      await redis.xgroup('CREATE', stream, `g${delivered}`, `${delivered}-0`)
    }
    const { groups } = await transport.inspect([stream])
    expect(groups.map(({ group, lagMessages }) => [group, lagMessages])).toEqual([
      ['g30000', 30_000],
      ['g59990', 10],
      ['g7', 59_993],
    ])
  })

  it('finds what a glob matches, and names a key that is no stream', async () => {
    const base = fresh()
    await fill(`${base}.a`, 1)
    await fill(`${base}.b`, 2)
    const { transport } = await openTold(server.url)
    const { topics } = await transport.inspect([`${base}.*`])
    expect(topics.map(({ topic, messages }) => [topic, messages])).toEqual([
      [`${base}.a`, 1],
      [`${base}.b`, 2],
    ])
    await redis.set(`${base}.c`, 'x')
    await expect(transport.inspect([`${base}.c`])).rejects.toMatchObject({ code: 'usage' })
  })
})

describe('footprint', () => {
  it('is the same before and after a look, and another after a reader that joined', async () => {
    const [stream, missing] = [fresh(), fresh()]
    await fill(stream, 50)
    await redis.xgroup('CREATE', stream, 'g', '0')
    await redis.xreadgroup('GROUP', 'g', 'c', 'COUNT', 10, 'STREAMS', stream, '>')
    const { transport } = await openTold(server.url)
    const asked = () => transport.footprint?.([stream, missing])
    const before = await asked()
    expect(before).toEqual({
      [`stream ${stream}`]: '50 entries, 50 ever added, last 1000050-0',
      [`stream ${missing}`]: 'not there',
      [`groups of ${stream}`]: 'g',
      [`groups of ${missing}`]: 'none',
      [`group g of ${stream}`]: '1 consumers, 10 pending, delivered 1000010-0, read 10',
    })
    const observer = watch(transport, [stream, missing])
    await until(() => observer.seen.length === 50)
    expect(await asked()).toEqual(before)
    await observer.stop()
    expect(await asked()).toEqual(before)
    expect(await redis.exists(missing)).toBe(0)
    await redis.xreadgroup('GROUP', 'g', 'c', 'COUNT', 1, 'STREAMS', stream, '>')
    expect(await asked()).not.toEqual(before)
  })

  it('counts subscribers of channels', async () => {
    const channel = fresh()
    const { transport } = await openTold(`${server.url}?pubsub=${channel}`)
    const before = await transport.footprint?.([])
    expect(before).toMatchObject({ [`subscribers of ${channel}`]: '0' })
    const observer = watch(transport, [], { from: 'now' })
    await until(async () => (await redis.publish(channel, 'x')) > 0)
    expect(await transport.footprint?.([])).toMatchObject({ [`subscribers of ${channel}`]: '1' })
    await observer.stop()
    await until(async () => JSON.stringify(await transport.footprint?.([])) === JSON.stringify(before))
  })

  it('tells a user who may only read what that user may ask', async () => {
    const stream = fresh()
    await fill(stream, 3)
    const { transport } = await openTold(server.url.replace('evt:evt@', 'reader:pw@'))
    expect(await transport.footprint?.([stream])).toMatchObject({
      [`stream ${stream}`]: '3 entries, 3 ever added, last 1000003-0',
    })
    expect((await transport.inspect([stream])).topics).toMatchObject([{ messages: 3 }])
  })
})
