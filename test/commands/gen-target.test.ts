import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createSender } from '../../src/commands/gen/over-outages.ts'
import { decodeAny } from '../../src/core/codec.ts'
import { openTransport, transportSchemes } from '../../src/transports/registry.ts'
import type { Lane, Received } from '../../src/transports/transport.ts'
import { startPrivateRedis } from '../setup/private-redis.ts'
import type { ServerName } from '../setup/server-names.ts'
import { describeWithOwn, hasServer, serverUrl } from '../setup/shared-servers.ts'
import { until } from '../setup/until.ts'
import { createNowhere, type RunOptions, run, runHere, start } from './evt.ts'

const nowhere = createNowhere()
afterAll(() => nowhere.dispose())
const gen = (words: readonly string[], options: RunOptions = {}) =>
  runHere(['gen', ...words], { cwd: nowhere.path, ...options })

interface Kind {
  readonly name: string
  readonly server?: ServerName
  /** A group that starts later sees what was published before. */
  readonly hasHistory: boolean
  topicUrl(base: string, topic: string): string
}

const kinds: readonly Kind[] = [
  { name: 'memory', hasHistory: true, topicUrl: (_, topic) => `memory://gen/${topic}` },
  { name: 'redis', server: 'redis', hasHistory: true, topicUrl: (base, topic) => `${base}/0?stream=${topic}` },
  { name: 'kafka', server: 'kafka', hasHistory: true, topicUrl: (base, topic) => `${base}/${topic}` },
  { name: 'rabbitmq', server: 'rabbitmq', hasHistory: false, topicUrl: (base, topic) => `${base}?exchange=${topic}` },
]
const schemeOf = (name: string) => (name === 'rabbitmq' ? 'amqp' : name)
const isMissing = ({ name, server }: Kind) =>
  (server !== undefined && !hasServer(server)) || !(transportSchemes as readonly string[]).includes(schemeOf(name))

/** Everything that a group gets from the topic: from its start, where the broker has a history. */
async function collect(url: string, topic: string): Promise<Received[]> {
  const transport = await openTransport(url)
  const ending = new AbortController()
  const { signal } = ending
  onTestFinished(async () => {
    ending.abort()
    await transport.close()
  })
  const found: Received[] = []
  const joined = Promise.withResolvers<void>()
  const options = { prefetch: 1_000, patterns: ['*'], start: 'earliest', lanes: 1, member: 'm', signal } as const
  const read = async (lane: Lane) => {
    while (!signal.aborted) {
      const batch = await lane.take(500, signal)
      found.push(...batch)
      await lane.settle(batch)
    }
  }
  void (async () => {
    for await (const lane of transport.lanes?.([topic], `reader-${topic}`, options) ?? []) {
      joined.resolve()
      void read(lane).catch(() => {})
    }
  })()
  await joined.promise
  return found
}

for (const kind of kinds) {
  describe.skipIf(isMissing(kind))(`gen --target on ${kind.name}`, () => {
    let base = ''
    beforeAll(async () => {
      if (kind.server) base = await serverUrl(kind.server)
    }, 60_000)
    const place = () => {
      const topic = `gen-${randomUUID().slice(0, 8)}`
      return { topic, url: kind.topicUrl(base, topic) }
    }

    it('says that the topic does not exist, and makes it when told to', async () => {
      const { topic, url } = place()
      expect(await gen(['user.created', '--target', url])).toMatchObject({
        exit: 2,
        stderr: expect.stringMatching(
          new RegExp(`cannot publish to ${topic} on .*: it does not exist\\n.*--create makes it`),
        ),
      })
      const made = await gen(['user.created', '--count', '20', '--target', url, '--lanes', '2'])
      // Where there is no history, nobody would ever see them: the topic is made, and they are refused.
      if (kind.hasHistory)
        expect(made).toMatchObject({
          exit: 0,
          stdout: expect.stringContaining('asked 20 · accepted 20 · confirmed 20 · unknown 0'),
        })
      else expect(made).toMatchObject({ exit: 4, stderr: expect.stringMatching(/cannot publish to/) })
      const found = await collect(url, topic)
      expect(await gen(['user.created', '--count', '5', '--target', url])).toMatchObject({ exit: 0 })
      const count = kind.hasHistory ? 25 : 5
      await until(() => found.length === count, { withinMs: 15_000 })
      for (const { headers, body } of found)
        expect(decodeAny(body, { headers })).toMatchObject({ dialect: 'cloudevents', event: { type: 'user.created' } })
      if (kind.name === 'memory') return
      expect(await gen(['user.created', '--target', url, '--lanes', '3'])).toMatchObject({
        exit: 2,
        stderr: expect.stringMatching(/cannot use .*2/),
      })
    })

    it('writes the shape of another system', async () => {
      const { topic, url } = place()
      await gen(['user.created', '--target', url, '--lanes', '1'])
      const found = await collect(url, topic)
      const words = ['user.created', '--count', '3', '--target', url, '--dialect', 'typed-events']
      expect(await gen(words)).toMatchObject({ exit: 0 })
      await until(() => found.length >= 3, { withinMs: 15_000 })
      for (const { body } of found.slice(-3)) expect(decodeAny(body).dialect).toBe('typed-events')
    })

    it('is paced, and tells it as JSON', async () => {
      const { topic, url } = place()
      await gen(['user.created', '--target', url, '--create'])
      await collect(url, topic)
      const { exit, stdout } = await gen([
        'user.*',
        '--rate',
        '500',
        '--duration',
        '400ms',
        '--target',
        url,
        '--create',
        '--json',
      ])
      expect(exit).toBe(0)
      const { data, meta } = JSON.parse(stdout)
      expect(data).toMatchObject({ asked: 200, accepted: 200, confirmed: 200, unknown: 0, refused: 0 })
      expect(meta.elapsedMs).toBeGreaterThan(380)
      expect(meta.target).toContain('://')
    })
  })
}

describe('gen --target', () => {
  it.each([
    [['user.created', '--target', 'memory://gen'], 2, /the URL does not say which topic\n.*redis:\/\/host/],
    [['user.created', '--target', 'nats://localhost/x'], 2, /no transport for nats\n/],
    [
      ['user.created', '--target', 'memory://gen/x', '--dialect', 'cloudevent'],
      2,
      /cannot use --dialect cloudevent: there is none\n.*cloudevents/,
    ],
    [['user.created', '--target', 'postgres://localhost:1/x', '--lanes', '2'], 2, /cannot use --lanes with the store/],
    [['user.created', '--target', 'redis://127.0.0.1:1/0?stream=x'], 3, /cannot connect|cannot use/],
  ])('refuses %j', async (words, exit, says) => {
    const ran = await gen(words)
    expect(ran.exit, ran.stderr).toBe(exit)
    expect(ran.stderr).toMatch(says)
  })

  it('takes no NOTIFY channel for the store', async () => {
    const target = 'postgres://nobody@127.0.0.1:1/none?sslmode=disable&channel=x'
    const { exit, stderr } = await gen(['user.created', '--count', '1', '--target', target])
    expect([exit, stderr]).toEqual([2, expect.stringContaining('evt only reads them')])
  })

  it('takes a name of the configuration for the URL', async () => {
    const { writeFileSync } = await import('node:fs')
    const named = createNowhere()
    onTestFinished(() => named.dispose())
    const url = `memory://gen/named-${randomUUID().slice(0, 8)}`
    writeFileSync(`${named.path}/evt.config.json`, JSON.stringify({ sinks: [{ name: 'orders', url }] }))
    const ran = await gen(['user.created', '--target', 'orders', '--create', '--json'], { cwd: named.path })
    expect(ran.exit, ran.stderr).toBe(0)
    expect(JSON.parse(ran.stdout).meta.target).toBe(url)
  })

  it('prints with --dry-run what the dialect would send', async () => {
    const { exit, stdout } = await gen(['document.updated', '--dry-run', '--seed', '1', '--dialect', 'icons'])
    expect(exit).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ event_type: 'document.updated' })
  })

  it('counts what an input holds twice as duplicates, where the broker knows ids', async () => {
    const url = `memory://gen/dup-${randomUUID().slice(0, 8)}`
    const line = (id: string) => `{"id":"${id}","type":"a.b","data":1}\n`
    const ran = await gen(['-f', '-', '--target', url, '--create'], { stdin: line('1') + line('2') + line('1') })
    expect(ran.stdout).toContain('asked 3 · accepted 2 · confirmed 2 · unknown 0 · duplicates 1')
  })

  it('tells what the broker refused, and exits 5', async () => {
    const url = `memory://full-${randomUUID().slice(0, 8)}/x?limit=600&retain=600`
    const transport = await openTransport(url)
    onTestFinished(() => transport.close())
    // Somebody who has settled nothing.
    const signal = AbortSignal.timeout(20_000)
    const options = { prefetch: 1, patterns: ['*'], start: 'earliest', lanes: 1, member: 'm', signal } as const
    const lanes = transport.lanes?.(['x'], 'slow', options)[Symbol.asyncIterator]()
    await lanes?.next()
    const ran = await gen(['user.created', '--count', '900', '--target', url, '--create'])
    expect(ran).toMatchObject({
      exit: 5,
      stdout: expect.stringContaining('asked 900 · accepted 600 · confirmed 600 · unknown 0 · refused 300'),
      stderr: expect.stringMatching(/it holds 600 messages/),
    })
  })

  it('tells how many were never sent when it ends early', async () => {
    const url = `memory://full-${randomUUID().slice(0, 8)}/x?limit=600&retain=600`
    const transport = await openTransport(url)
    onTestFinished(() => transport.close())
    const signal = AbortSignal.timeout(20_000)
    const options = { prefetch: 1, patterns: ['*'], start: 'earliest', lanes: 1, member: 'm', signal } as const
    const lanes = transport.lanes?.(['x'], 'slow', options)[Symbol.asyncIterator]()
    await lanes?.next()
    const ran = await gen(['user.created', '--count', '2000', '--target', url, '--create'])
    expect(ran).toMatchObject({
      exit: 5,
      stdout: expect.stringMatching(/^asked 2,000 .* refused 900 · never sent 500 /),
    })
  })

  it.each([
    'redis://example.com/0?stream=x',
    'kafka://127.0.0.1:9092,example.com:9092/x',
    'amqp://user:secret@10.0.0.1/v?queue=x',
  ])('wants to be allowed what is not this machine: %s', async (url) => {
    const { isOwnBroker } = await import('../../src/commands/line/target.ts')
    expect(isOwnBroker(url)).toBe(false)
    expect(isOwnBroker('kafka://127.0.0.1:9092,localhost:9093/x')).toBe(true)
    expect(isOwnBroker('redis://[::1]:6379/0')).toBe(true)
  })
})

describeWithOwn('redis', 'gen --target', () => {
  it('waits until a broker that was killed is back, says so once, and doubles and loses nothing', async () => {
    const redis = await startPrivateRedis()
    onTestFinished(() => redis.stop())
    const url = `${redis.url}/0?stream=killed`
    const words = ['gen', 'user.created', '--count', '8000', '--rate', '2000', '--target', url, '--create', '-v']
    const running = start([...words, '-o', 'ndjson'], { cwd: nowhere.path })
    await running.said(/user\.created[\s\S]{20000}/)
    // Some of it is under way when the server dies, however busy this machine is.
    await redis.command('client', 'pause', 60_000, 'write')
    await until(async () => /blocked_clients:[1-9]/.test(String(await redis.command('info', 'clients'))))
    await redis.kill('SIGKILL')
    await running.said(/waiting up to/)
    await redis.restart()
    const ran = await running.ended
    expect(ran.exit, ran.stderr).toBe(0)
    expect(ran.stderr).toContain('asked 8,000 · accepted 8,000 · confirmed 8,000 · unknown 0')
    expect(ran.stderr.match(/waiting up to 30s until it is back/g)).toHaveLength(1)
    expect(ran.stderr).toMatch(/connected again after .*; goes on/)
    expect(ran.stderr).not.toMatch(/max ?retries|enableOfflineQueue|writeable/i)
    const transport = await openTransport(url)
    onTestFinished(() => transport.close())
    const ids: string[] = []
    const options = { from: 'start', follow: false, signal: AbortSignal.timeout(10_000) } as const
    for await (const batch of transport.observe({ topics: ['killed'], patterns: ['*'] }, options))
      ids.push(...batch.map(({ id }) => id))
    expect([ids.length, new Set(ids).size]).toEqual([8_000, 8_000])
  }, 60_000)

  it('gives up after a while', async () => {
    const redis = await startPrivateRedis()
    onTestFinished(() => redis.stop())
    const transport = await openTransport(redis.url)
    onTestFinished(() => transport.close())
    await transport.ensure([{ name: 't', lanes: 1 }], 'create')
    const said: string[] = []
    const output = { warn: (line: string) => said.push(line), notice: () => {} }
    const { signal } = new AbortController()
    const send = createSender({ transport, topic: 't', shown: redis.url, output, signal, giveUpMs: 300 })
    const message = (id: string) => ({ id, key: null, headers: {}, body: Buffer.from('{}') })
    expect((await send([message('1')])).results).toMatchObject([{ state: 'stored' }])
    await redis.kill('SIGKILL')
    expect((await send([message('2')])).ended).toMatchObject({
      code: 'connect',
      message: `cannot publish to t: ${redis.url} was away for 300ms`,
    })
    expect(said).toHaveLength(1)
  })

  it('asks before it writes with a profile that is protected', async () => {
    const redis = await startPrivateRedis()
    onTestFinished(() => redis.stop())
    const { writeFileSync } = await import('node:fs')
    writeFileSync(`${nowhere.path}/evt.config.json`, JSON.stringify({ profiles: { prod: { protect: true } } }))
    const words = ['gen', 'user.created', '--target', `${redis.url}/0?stream=p`, '--create', '--profile', 'prod']
    expect(await run(words, { cwd: nowhere.path })).toMatchObject({
      exit: 4,
      stderr: expect.stringMatching(/prod is protected/),
    })
    expect(await run([...words, '--yes', '--reason', 'load'], { cwd: nowhere.path })).toMatchObject({ exit: 0 })
  })
})
