import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { laneKey } from '../../../src/transports/redis/topic.ts'
import { type PrivateRedis, startPrivateRedis } from '../../setup/private-redis.ts'
import { connect, expectedIds, makeEntries, openLog, openTransport, relay, storedIds } from './sink.ts'

const signal = () => AbortSignal.timeout(10_000)
const lanes = 4
const statesOf = (results: readonly { readonly state: string }[]) => new Set(results.map(({ state }) => state))

describe('the log in Redis', () => {
  let redis: PrivateRedis
  beforeAll(async () => {
    redis = await startPrivateRedis()
  })
  afterAll(() => redis.stop())

  async function openSink(epoch = 1n) {
    const transport = await openTransport(redis.url)
    await transport.ensure([{ name: 'sink', lanes }], 'create')
    return { transport, appender: await openLog(transport, 'sink', epoch), client: connect(redis.url) }
  }

  async function fresh() {
    await redis.command('flushall')
    return openSink()
  }

  it('is appended again from the beginning after FLUSHALL under an open appender', async () => {
    const { appender, client } = await fresh()
    const log = makeEntries(400)
    await relay(appender, log.slice(0, 200))
    await client.flushall()
    const late = await appender.append(log.slice(200, 250), 250n, signal())
    expect(statesOf(late)).not.toContain('stored')
    expect(await appender.mark()).toBe(0n)
    await relay(appender, log)
    expect(await storedIds(client, 'sink', lanes)).toEqual(expectedIds(log, lanes))
    // The topic is one of ours again: whoever comes now finds its lanes.
    const other = await openTransport(redis.url)
    expect(await other.ensure([{ name: 'sink', lanes }], 'check')).toEqual([])
  })

  it('tells a mark that fell also when nothing was appended since', async () => {
    const { appender, client } = await fresh()
    await relay(appender, makeEntries(40))
    await client.flushall()
    expect(await appender.mark()).toBe(0n)
  })

  it('is appended again from where a fail-over rewound Redis to', async () => {
    const { appender, client } = await fresh()
    const log = makeEntries(30_000, { keys: 100 })
    const upTo = (count: number) => relay(appender, log.slice(0, count), { batch: 1_000 })
    await upTo(15_000)
    const keys = (await client.keys('*')).toSorted()
    const dumps = await Promise.all(keys.map((key) => client.dumpBuffer(key)))
    await upTo(25_000)
    // As a replica has it that was 10,000 entries behind when it became the master.
    await client.flushall()
    await Promise.all(keys.map((key, i) => client.restore(key, 0, dumps[i] as Buffer)))
    const { failures } = await relay(appender, log, { batch: 1_000 })
    expect(failures).toBeLessThanOrEqual(1)
    expect(await storedIds(client, 'sink', lanes)).toEqual(expectedIds(log, lanes))
  })

  it('keeps out the late batch of a zombie, and the marks that it would move', async () => {
    const { appender: zombie, client } = await fresh()
    const log = makeEntries(300)
    await relay(zombie, log.slice(0, 100))
    const { appender: leader } = await openSink(2n)
    await expect(zombie.append(log.slice(100, 200), 200n, signal())).rejects.toMatchObject({ code: 'fenced' })
    await expect(zombie.mark()).rejects.toMatchObject({ code: 'fenced' })
    expect(await leader.mark()).toBeLessThanOrEqual(100n)
    await relay(leader, log)
    await expect(zombie.append(log.slice(100, 200), 300n, signal())).rejects.toMatchObject({ code: 'fenced' })
    await expect(openSink(1n)).rejects.toMatchObject({ code: 'fenced' })
    expect(await storedIds(client, 'sink', lanes)).toEqual(expectedIds(log, lanes))
  })

  it('survives SCRIPT FLUSH between two batches', async () => {
    const { appender, client } = await fresh()
    const log = makeEntries(200)
    await relay(appender, log.slice(0, 100))
    await client.script('FLUSH')
    expect((await relay(appender, log)).failures).toBe(0)
    expect(await storedIds(client, 'sink', lanes)).toEqual(expectedIds(log, lanes))
  })

  it('goes on over a foreign XADD in its streams, also one with an id of the future', async () => {
    const { appender, client } = await fresh()
    const log = makeEntries(200)
    await relay(appender, log.slice(0, 100))
    await client.xadd('sink:1', '*', 'hello', 'world')
    await client.xadd('sink:2', `${Date.now() + 86_400_000}-7`, 'hello', 'world')
    await relay(appender, log)
    expect(await storedIds(client, 'sink', lanes)).toEqual(expectedIds(log, lanes))
  })

  it('says what is wrong when somebody used the last possible id', async () => {
    const { appender, client } = await fresh()
    const log = makeEntries(100)
    await client.xadd('sink:0', '18446744073709551615-18446744073709551615', 'hello', 'world')
    const results = await appender.append(log, 100n, signal())
    const refused = results.flatMap((one) => (one.state === 'refused' ? one.error.message : []))
    expect(refused[0]).toContain('last possible ID')
    expect(await appender.mark()).toBe(0n)
  })

  it('moves the marks of lanes that have no entries, before anybody asks', async () => {
    const { appender, client } = await fresh()
    const log = makeEntries(3_000, { keys: 1 })
    const markOf = async (lane: number) => Number(await client.hget(laneKey(`sink:${lane}`), 'mark'))
    const deadline = performance.now() + 10_000
    for (let i = 0; Math.min(...(await Promise.all([0, 1, 2, 3].map(markOf)))) === 0; i += 10) {
      if (performance.now() > deadline) throw new Error('some lane has no mark')
      const at = Math.min(i, 2_990)
      await appender.append(log.slice(at, at + 10), BigInt(at + 10), signal())
    }
  })

  it('refuses to go on after a failure until the marks were asked for', async () => {
    const { appender, client } = await fresh()
    const log = makeEntries(90)
    await relay(appender, log.slice(0, 30))
    await client.flushall()
    await appender.append(log.slice(30, 60), 60n, signal())
    const results = await appender.append(log.slice(60), 90n, signal())
    expect(statesOf(results)).toEqual(new Set(['refused']))
    expect(await storedIds(client, 'sink', lanes)).toEqual([[], [], [], []])
  })

  it('is told apart from a lost answer: what was appended before the connection broke is a duplicate', async () => {
    const { appender, client } = await fresh()
    const log = makeEntries(10_000, { keys: 100 })
    const cutting = setInterval(() => void redis.disconnectClients().catch(() => {}), 200)
    onTestFinished(() => clearInterval(cutting))
    await relay(appender, log, { batch: 50 })
    clearInterval(cutting)
    const asker = connect(redis.url)
    expect(await storedIds(asker, 'sink', lanes)).toEqual(expectedIds(log, lanes))
    client.disconnect()
  })
})

describe('Redis at its maxmemory', () => {
  it('stores a whole batch of a lane or nothing of it, and goes on when there is room', async () => {
    const redis = await startPrivateRedis({ args: ['--maxmemory', '6mb', '--maxmemory-policy', 'noeviction'] })
    onTestFinished(() => redis.stop())
    const transport = await openTransport(redis.url)
    const client = connect(redis.url)
    await transport.ensure([{ name: 'sink', lanes }], 'create')
    const appender = await openLog(transport, 'sink', 1n)
    const log = makeEntries(6_000, { keys: 100, bodyBytes: 1_000 })
    let position = 0
    let refused = 0
    while (refused === 0 && position < log.length) {
      const results = await appender.append(log.slice(position, position + 250), BigInt(position + 250), signal())
      refused = results.filter((one) => one.state === 'refused' && /maxmemory/.test(one.error.message)).length
      if (refused === 0) position += 250
    }
    expect(refused).toBeGreaterThan(0)
    const before = await storedIds(client, 'sink', lanes)
    // Per lane a prefix, in whole batches.
    for (const [lane, ids] of expectedIds(log.slice(0, position + 250), lanes).entries())
      expect(before[lane]).toEqual(ids.slice(0, before[lane]?.length))
    await client.config('SET', 'maxmemory', '0')
    await relay(appender, log, { batch: 250 })
    expect(await storedIds(client, 'sink', lanes)).toEqual(expectedIds(log, lanes))
  })

  it('refuses the rest of a published batch, and keeps its prefix', async () => {
    const redis = await startPrivateRedis({ args: ['--maxmemory', '4mb', '--maxmemory-policy', 'noeviction'] })
    onTestFinished(() => redis.stop())
    const transport = await openTransport(redis.url)
    const client = connect(redis.url)
    await transport.ensure([{ name: 'topic', lanes: 2 }], 'create')
    const batch = makeEntries(40, { bodyBytes: 400_000 })
    const results = await transport.publish('topic', batch, signal())
    expect(statesOf(results)).toEqual(new Set(['stored', 'refused']))
    const stored = await storedIds(client, 'topic', 2)
    for (const [lane, ids] of expectedIds(batch, 2).entries()) {
      expect(stored[lane]).toEqual(ids.slice(0, stored[lane]?.length))
      const states = ids.map((id) => results[batch.findIndex((one) => one.id === id)]?.state)
      expect(states.filter((state) => state === 'stored').length).toBe(stored[lane]?.length)
    }
  })
})
