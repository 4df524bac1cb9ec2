import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { laneKey } from '../../../src/transports/redis/topic.ts'
import { type PrivateRedis, startPrivateRedis } from '../../setup/private-redis.ts'
import { startTcpProxy } from '../../setup/tcp-proxy.ts'
import { until } from '../../setup/until.ts'
import { connect, expectedIds, makeEntries, openTransport, storedIds } from './sink.ts'

const signal = (ms = 10_000) => AbortSignal.timeout(ms)
const statesOf = (results: readonly { readonly state: string }[]) => results.map(({ state }) => state)

describe('publishing to Redis', () => {
  let redis: PrivateRedis
  beforeAll(async () => {
    redis = await startPrivateRedis()
  })
  afterAll(() => redis.stop())

  async function fresh(query = '', lanes = 1) {
    await redis.command('flushall')
    const transport = await openTransport(redis.url + query)
    await transport.ensure([{ name: 'topic', lanes }], 'create')
    return { transport, client: connect(redis.url) }
  }

  it('knows an id for the duplicate window at least, twice the window at most', async () => {
    const { transport } = await fresh('?window=400ms')
    const [message, other] = makeEntries(2)
    if (message === undefined || other === undefined) throw new Error('no messages')
    const publish = async () => statesOf(await transport.publish('topic', [message], signal()))
    const started = performance.now()
    expect(await publish()).toEqual(['stored'])
    while (performance.now() - started < 300) expect(await publish()).toEqual(['duplicate'])
    await until(async () => (await publish())[0] === 'stored', { withinMs: 2_000, what: 'forgotten' })
    expect(performance.now() - started).toBeGreaterThan(400)
  })

  it('knows nothing of ids with a window of 0, and keeps nothing of them', async () => {
    const { transport, client } = await fresh('?window=0')
    const messages = makeEntries(3)
    await transport.publish('topic', messages, signal())
    expect(statesOf(await transport.publish('topic', messages, signal()))).toEqual(['stored', 'stored', 'stored'])
    expect(await client.keys('*ids*')).toEqual([])
  })

  it('stores an id once that comes twice in one batch', async () => {
    const { transport } = await fresh()
    const [message] = makeEntries(1)
    if (message === undefined) throw new Error('no message')
    expect(statesOf(await transport.publish('topic', [message, message], signal()))).toEqual(['stored', 'duplicate'])
  })

  it('knows every id again, in whatever order and of whatever kind they come', async () => {
    const { transport, client } = await fresh('', 2)
    const uuid = (n: number) => `01936b2e-7c00-7000-8000-${String(n).padStart(12, '0')}`
    const known = new Set<string>()
    let next = 0
    const publish = async (ids: readonly string[]) => {
      const messages = ids.map((id) => ({ id, key: id, headers: {}, body: Buffer.from('1') }))
      const expected = ids.map((id) => (known.has(id) ? 'duplicate' : known.add(id) && 'stored'))
      expect(statesOf(await transport.publish('topic', messages, signal()))).toEqual(expected)
    }
    const rising = (count: number) => Array.from({ length: count }, () => uuid(++next * 10))
    await publish(rising(20))
    await publish([...rising(20), 'an-id-of-mine', 'zz'])
    await publish([uuid(15), uuid(20), uuid(25)])
    await publish([...rising(5), uuid(30), uuid(35)])
    await publish(['an-id-of-mine', 'zz', uuid(10).toUpperCase(), uuid(next * 10), uuid(next * 10)])
    // A greatest id long before its time.
    await publish(['ffffffff-ffff-7fff-bfff-ffffffffffff'])
    await publish([...rising(20), 'ffffffff-ffff-7fff-bfff-ffffffffffff', uuid(45)])
    // What the lane says of its ids is lost, the ids are not.
    await Promise.all([0, 1].map((lane) => client.hdel(laneKey(`topic:${lane}`), 'top', 'under')))
    await publish([uuid(10), uuid(next * 10), ...rising(1)])
    await publish([uuid(next * 10), ...rising(3)])
  })

  it('knows the ids of the window before the current one', async () => {
    const { transport, client } = await fresh()
    const uuid = (n: number) => `01936b2e-7c00-7000-8000-${String(n).padStart(12, '0')}`
    const message = (n: number) => ({ id: uuid(n), key: null, headers: {}, body: Buffer.from('1') })
    const publish = async (numbers: readonly number[]) =>
      statesOf(await transport.publish('topic', numbers.map(message), signal()))
    const even = (from: number, count: number) => Array.from({ length: count }, (_, i) => (from + i) * 2)
    for (let i = 0; i < 20_000; i += 5_000) await publish(even(i, 5_000))
    expect(await client.hget(laneKey('topic'), 'ids')).toBe('b')
    expect(new Set(await publish(even(20_000, 500)))).toEqual(new Set(['stored']))
    expect(await client.hget(laneKey('topic'), 'ids')).toBe('a')
    expect(await publish([0, 1, 39_998, 39_997])).toEqual(['duplicate', 'stored', 'duplicate', 'stored'])
    expect(await publish([40_000, 0, 50_000, 39_997])).toEqual(['duplicate', 'duplicate', 'stored', 'duplicate'])
  })

  it('forgets old ids rather than keep ever more of them', async () => {
    const { transport, client } = await fresh()
    const messages = makeEntries(50_000, { bodyBytes: 1 })
    for (let i = 0; i < messages.length; i += 5_000)
      await transport.publish('topic', messages.slice(i, i + 5_000), signal())
    const kept = await Promise.all((await client.keys('*ids*')).map((key) => client.scard(key)))
    expect(Math.max(...kept)).toBeLessThanOrEqual(20_000)
    expect(statesOf(await transport.publish('topic', messages.slice(-1_000), signal()))).not.toContain('stored')
  })

  it('takes a batch of many big bodies and of many small ones', async () => {
    const { transport, client } = await fresh('', 4)
    const big = makeEntries(40, { bodyBytes: 1024 * 1024 })
    const small = makeEntries(10_000, { first: 41 })
    expect(new Set(statesOf(await transport.publish('topic', [...big, ...small], signal(30_000))))).toEqual(
      new Set(['stored']),
    )
    expect(await storedIds(client, 'topic', 4)).toEqual(expectedIds([...big, ...small], 4))
  })

  it('puts each message on the channel of its type too, as one CloudEvent', async () => {
    const { transport, client } = await fresh('?broadcast=events.', 4)
    const heard: [string, string][] = []
    client.on('message', (channel: string, payload: string) => heard.push([channel, payload]))
    await client.subscribe('events.a.b')
    const messages = makeEntries(20)
    await transport.publish('topic', messages, signal())
    await until(() => heard.length === 20)
    const events = heard.map(([, payload]) => JSON.parse(payload))
    expect(events.map(({ id }) => id).toSorted()).toEqual(messages.map(({ id }) => id).toSorted())
    expect(events[0]).toMatchObject({ specversion: '1.0', type: 'a.b', data: 'x'.repeat(20) })
    // What is stored once is heard once.
    await transport.publish('topic', messages, signal())
    await transport.publish('topic', makeEntries(1), signal())
    await until(() => heard.length >= 21)
    expect(heard.length).toBe(21)
  })

  it('calls refused what a busy or read-only server did not take, and goes on afterwards', async () => {
    const { transport, client } = await fresh()
    const messages = makeEntries(5)
    await client.ping()
    await redis.command('replicaof', '127.0.0.1', '1')
    const readOnly = await transport.publish('topic', messages, signal())
    expect(readOnly[0]).toMatchObject({ state: 'refused', error: { code: 'unsupported' } })
    await redis.command('replicaof', 'no', 'one')
    await redis.command('config', 'set', 'busy-reply-threshold', '50')
    const looping = redis.command('eval', 'while true do end', '0').catch(() => {})
    await until(async () => {
      const [result] = await transport.publish('topic', messages, signal())
      return result?.state === 'refused' && result.error.message.includes('busy')
    })
    await client.script('KILL')
    await looping
    const after = await transport.publish('topic', makeEntries(5), signal())
    expect(new Set(statesOf(after))).toEqual(new Set(['stored']))
  })

  it('calls unknown what was under way when the connection broke', async () => {
    await using proxy = await startTcpProxy(redis.port)
    await redis.command('flushall')
    const transport = await openTransport(proxy.through(redis.url))
    await transport.ensure([{ name: 'topic', lanes: 1 }], 'create')
    proxy.freeze()
    const publishing = transport.publish('topic', makeEntries(3), signal())
    setTimeout(() => proxy.cut(), 100)
    expect(statesOf(await publishing)).toEqual(['unknown', 'unknown', 'unknown'])
    proxy.thaw()
  })

  it('gives up a connection that is half-open within seconds, and takes a new one', async () => {
    await using proxy = await startTcpProxy(redis.port)
    await redis.command('flushall')
    const transport = await openTransport(proxy.through(redis.url))
    await transport.ensure([{ name: 'topic', lanes: 1 }], 'create')
    const stopping = new AbortController()
    onTestFinished(() => stopping.abort())
    const options = { prefetch: 10, patterns: [], start: 'earliest', lanes: 1, member: 'm' } as const
    const iteration = transport.lanes?.(['topic'], 'g', { ...options, signal: stopping.signal })[Symbol.asyncIterator]()
    const lane = (await iteration?.next())?.value
    const [first, second] = [makeEntries(1), makeEntries(1)]
    await transport.publish('topic', first, signal())
    await lane?.settle((await lane?.take(10, signal())) ?? [])
    proxy.freeze()
    const started = performance.now()
    const frozen = await transport.publish('topic', second, signal(9_000))
    expect(frozen[0]?.state).toBe('unknown')
    expect(performance.now() - started).toBeLessThan(6_500)
    proxy.cut()
    proxy.thaw()
    await until(async () => {
      const [result] = await transport.publish('topic', second, signal())
      return result?.state === 'stored' || result?.state === 'duplicate'
    })
    expect((await lane?.take(10, signal()))?.map(({ id }: { id: string }) => id)).toEqual(second.map(({ id }) => id))
  }, 30_000)

  it('says nothing on the console and keeps no process alive after its close', async () => {
    const program = `
      const { openRedis } = await import(${JSON.stringify(new URL('../../../src/transports/redis/index.ts', import.meta.url).href)})
      const transport = await openRedis(process.argv[1].replace('127', 'someone:password@127'))
        .catch(() => openRedis(process.argv[1].replace('127', ':password@127')))
      await transport.ensure([{ name: 'quiet', lanes: 2 }], 'create')
      const stopping = new AbortController()
      const lanes = transport.lanes(['quiet'], 'g', { prefetch: 1, patterns: [], start: 'latest', lanes: 2, member: 'm', signal: stopping.signal })
      await lanes[Symbol.asyncIterator]().next()
      await transport.publish('quiet', [{ id: '1', key: null, headers: {}, body: Buffer.from('') }], AbortSignal.timeout(1000))
      await transport.close()
    `
    const args = ['--input-type=module', '-e', program, redis.url]
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { timeout: 8_000 })
    expect(stdout + stderr).toBe('')
  })
})

describe('a user of Redis', () => {
  it('may publish and consume with what it needs and no more, over TLS too', async () => {
    const rules =
      '~app* ~{app* &{app* +@stream +@hash +@set +@sortedset +@scripting +@connection +@pubsub +@transaction +type +unlink +exists +pexpire +time -@dangerous +info'
    const redis = await startPrivateRedis({ users: [`user app on >s3cr:t ${rules}`] })
    onTestFinished(() => redis.stop())
    const transport = await openTransport(redis.url.replace('evt:evt@', 'app:s3cr%3At@'))
    await transport.ensure([{ name: 'app', lanes: 2 }], 'create')
    const results = await transport.publish('app', makeEntries(10), signal())
    expect(results.flatMap((one) => ('error' in one ? one.error.message : []))).toEqual([])
    const stopping = new AbortController()
    onTestFinished(() => stopping.abort())
    const options = { prefetch: 10, patterns: [], start: 'earliest', lanes: 2, member: 'm' } as const
    let taken = 0
    for await (const lane of transport.lanes?.(['app'], 'g', { ...options, signal: stopping.signal }) ?? []) {
      const batch = await lane.take(10, signal())
      await lane.settle(batch)
      taken += batch.length
      if (taken === 10) stopping.abort()
    }
    expect(taken).toBe(10)
    await expect(transport.ensure([{ name: 'elsewhere', lanes: 1 }], 'create')).rejects.toMatchObject({
      code: 'connect',
    })
  })

  it('who may not remember ids stores nothing, and is told what to grant', async () => {
    const enough = '~app* ~{app* &{app* +@stream +@hash +@scripting +@connection +@pubsub +@read +time +unlink +pexpire'
    const [ids, runs] = [`user ids on >p ${enough} +@set`, `user runs on >p ${enough} +zadd +zrange`]
    const redis = await startPrivateRedis({ users: [ids, runs] })
    onTestFinished(() => redis.stop())
    const admin = await openTransport(redis.url)
    await admin.ensure([{ name: 'app', lanes: 1 }], 'create')
    const growing = makeEntries(10).map((one, at) => ({ ...one, id: `01936b2e-7c00-7000-8000-00000000000${at}` }))
    for (const [user, batch, command] of [
      ['ids', growing, 'ZADD'],
      ['runs', makeEntries(10), 'SADD'],
    ] as const) {
      const transport = await openTransport(redis.url.replace('evt:evt@', `${user}:p@`))
      for (let n = 0; n < 2; n++) {
        const results = await transport.publish('app', batch, signal())
        expect(results).toHaveLength(10)
        expect(results[0]).toMatchObject({
          state: 'refused',
          error: {
            code: 'connect',
            message: expect.stringContaining(`user ${user} may not ${command}`),
            hint: `grant it on the server: ACL SETUSER ${user} +${command.toLowerCase()}`,
          },
        })
      }
    }
    const [topic] = (await admin.inspect(['app'])).topics
    expect(topic?.messages).toBe(0)
  })
})
