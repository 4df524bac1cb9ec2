import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import tail from '../../../src/commands/tail.ts'
import { encodeAs } from '../../../src/core/codec/encode-as.ts'
import { type DialectName, encodeEvent } from '../../../src/core/codec.ts'
import type { EvtEvent } from '../../../src/core/event.ts'
import { publishEncoded } from '../../../src/store/outbox.ts'
import { openTransport } from '../../../src/transports/registry.ts'
import { createTestDatabase } from '../../setup/database.ts'
import { startPrivateRedis } from '../../setup/private-redis.ts'
import { describeWithOwn, hasServer, serverUrl } from '../../setup/shared-servers.ts'
import { until } from '../../setup/until.ts'
import { createNowhere, type Running, runHere, start } from '../evt.ts'

const nowhere = createNowhere()
afterAll(nowhere.dispose)
const forever = new AbortController().signal
const evt = (...words: string[]) => runHere(['tail', ...words], { cwd: nowhere.path })

let count = 0
const made = (type: string, data: object = {}): EvtEvent => ({
  ...{ id: `event-${randomUUID()}`, type, version: 1, source: 'test', time: new Date().toISOString() },
  ...{ subject: `user/${++count}`, priority: 'normal', metadata: {}, data },
})

async function publisher(url: string, topic: string) {
  const transport = await openTransport(url)
  onTestFinished(() => transport.close())
  await transport.ensure([{ name: topic, lanes: 1 }], 'create')
  return async (event: EvtEvent, dialect: DialectName = 'cloudevents') => {
    const message = { id: event.id, key: event.subject ?? null, ...encodeAs(dialect, event) }
    const [published] = await transport.publish(topic, [message], forever)
    if (published?.state !== 'stored') throw new Error(`${url}: ${published?.state} ${JSON.stringify(published)}`)
  }
}

/** Says it again until it is heard: what comes before a reader is in force is not from now on. */
async function heard(running: Running, pattern: RegExp, say: () => Promise<unknown>) {
  let isHeard = false
  const said = running.said(pattern).finally(() => {
    isHeard = true
  })
  while (!isHeard) {
    await say()
    await Promise.race([said, new Promise((resolve) => setTimeout(resolve, 50))])
  }
  await said
}

const brokers = ['redis', 'kafka', 'rabbitmq'] as const
const has = brokers.every(hasServer) && hasServer('postgres-18')

describe.skipIf(!has)('tail over Redis, Kafka, RabbitMQ and Postgres at once', () => {
  it('shows one merged stream while events are published to all four, and leaves no trace', async () => {
    await using database = await createTestDatabase({ max: 3 })
    const topic = `tail-${randomUUID()}`
    const [redis, kafka, rabbit] = await Promise.all(brokers.map(serverUrl))
    const say = {
      redis: await publisher(redis ?? '', topic),
      kafka: await publisher(kafka ?? '', topic),
      rabbit: await publisher(rabbit ?? '', topic),
      pg: (event: EvtEvent) =>
        database.store.transaction((sql) => publishEncoded(sql, [encodeEvent(event)])).then(() => {}),
    }
    const sources = [`${redis}?stream=${topic}`, `${kafka}/${topic}`, `${rabbit}?exchange=${topic}`, database.url]
    const words = ['user.*', ...sources.flatMap((url) => ['-s', url]), '--prove']
    const running = start(['tail', ...words], { cwd: nowhere.path })
    for (const [badge, publish] of Object.entries(say)) {
      // To the exchange, nobody but the tail is bound: before it is, a publish is refused.
      const event = () => publish(made('user.created', { from: badge })).catch(() => {})
      await heard(running, new RegExp(`^\\[${badge} \\S+\\] .*user\\.created.*"from":"${badge}"`, 'm'), event)
      await publish(made('order.created', { from: badge }))
    }
    running.signal('SIGINT')
    const { exit, stdout, stderr } = await running.ended
    // RabbitMQ tells all that is there only over its management API, which this URL does not name.
    expect({ exit, stderr }).toEqual({ exit: 5, stderr: expect.stringContaining('stopped: interrupted') })
    expect(stdout).not.toContain('order.created')
    expect(stderr.match(/^prove \S+: unchanged/gm)).toHaveLength(3)
    expect(stderr).toMatch(/^prove amqp:\S+: unknown: .*name \?management=URL; the rest is unchanged/m)
  }, 60_000)

  it('merges the history of those that keep one by time', async () => {
    await using database = await createTestDatabase({ max: 3 })
    const topic = `tail-${randomUUID()}`
    const [redis, kafka] = await Promise.all([serverUrl('redis'), serverUrl('kafka')])
    const publish = [
      await publisher(redis, topic),
      await publisher(kafka, topic),
      (event: EvtEvent) =>
        database.store.transaction((sql) => publishEncoded(sql, [encodeEvent(event)])).then(() => {}),
    ]
    for (let n = 0; n < 12; n++) {
      await publish[n % 3]?.(made('user.created', { n }))
      await milliseconds(2)
    }
    const sources = [`${redis}?stream=${topic}`, `${kafka}/${topic}`, database.url]
    const { stdout } = await evt(...sources.flatMap((url) => ['-s', url]), '--since', 'start', '--no-follow')
    expect(stdout.match(/"n":\d+/g)).toEqual(Array.from({ length: 12 }, (_, n) => `"n":${n}`))
  }, 60_000)
})

async function milliseconds(count: number): Promise<void> {
  for (const now = Date.now(); Date.now() < now + count; ) await new Promise(setImmediate)
}

describe.skipIf(!has)('tail of a topic with several partitions', () => {
  it('applies --until to each event, and shows the first by time first, alone and beside others', async () => {
    const topic = `tail-${randomUUID()}`
    const [redis, kafka] = await Promise.all([serverUrl('redis'), serverUrl('kafka')])
    const transport = await openTransport(kafka)
    onTestFinished(() => transport.close())
    await transport.ensure([{ name: topic, lanes: 6 }], 'create')
    const say = [await publisher(kafka, topic), await publisher(redis, topic)]
    const publish = async (from: number, to: number) => {
      for (let n = from; n < to; n++) {
        await say[n % 2]?.(made('user.created', { n }))
        await milliseconds(3)
      }
    }
    await publish(0, 24)
    const until = new Date().toISOString()
    await milliseconds(3)
    await publish(24, 48)
    const shown = async (...words: string[]) => {
      const { stdout, stderr } = await evt('-s', `${kafka}/${topic}`, ...words, '--fields', 'data.n')
      return { shown: stdout.split('\n').filter(Boolean).map(Number), stderr }
    }
    const all = Array.from({ length: 24 }, (_, n) => n)
    const even = all.filter((n) => n % 2 === 0)
    const cut = await shown('--since', 'start', '--until', until)
    expect(cut.shown).toEqual(even)
    expect(cut.stderr).toMatch(/scanned 24 · matched 12 · stopped: --until\n$/)
    expect((await shown('--until', until, '--follow')).shown).toEqual(even)
    expect((await shown('-s', `${redis}?stream=${topic}`, '--until', until)).shown).toEqual(all)
    expect((await shown('--since', 'start', '-n', '2')).shown).toEqual([0, 2])
  }, 60_000)
})

describe.skipIf(!has)('tail of what is not as it should be', () => {
  const urls = Promise.all(brokers.map((name) => (has ? serverUrl(name) : '')))
  const pick = async (at: number) => (await urls)[at] ?? ''

  it.concurrent.each([
    ['a key of another type', async () => `${await pick(0)}?stream=${plain}`, 2, 'it is a string, not a stream'],
    ['a misspelt parameter', async () => `${await pick(0)}?strem=a`, 2, 'there is no parameter strem'],
    ['no stream', async () => pick(0), 2, 'the URL does not say what to read there'],
    ['no topic', async () => pick(1), 2, 'the URL does not say what to read there'],
    ['no exchange', async () => pick(2), 2, 'the URL does not say what to read there'],
    [
      'an exchange that is not there',
      async () => `${await pick(2)}?exchange=${plain}`,
      2,
      'there is no exchange or queue',
    ],
    ['a topic that is not there', async () => `${await pick(1)}/${plain}`, 2, `there is no topic ${plain}`],
    [
      'a vhost that is not there',
      async () => `${(await pick(2)).replace(/\/?$/, '/none')}?exchange=a`,
      3,
      'vhost none',
    ],
    [
      'a wrong password',
      async () => `${(await pick(2)).replace(/\/\/.*@/, '//guest:wrong@')}?exchange=a`,
      3,
      'refuses',
    ],
    [
      'RabbitMQ where Redis should be',
      async () => `redis://${hostOf(await pick(2))}?stream=a`,
      3,
      'looks like RabbitMQ',
    ],
    ['Redis where Kafka should be', async () => `kafka://${hostOf(await pick(0))}/a`, 3, 'cannot connect to kafka'],
    [
      'TLS where there is none',
      async () => `${(await pick(0)).replace('redis:', 'rediss:')}?stream=a`,
      3,
      'without TLS',
    ],
  ] as const)('says %s, before it shows anything', async (_what, url, exit, message) => {
    const redis = await openRedis(await pick(0))
    await redis.set(plain, 'text')
    await redis.quit()
    const { stderr, ...ran } = await evt('-s', await url(), '--idle-timeout', '5s')
    expect({ ...ran, stderr }).toEqual({ exit, stdout: '', stderr: expect.stringContaining(message) })
    expect(stderr).not.toContain('wrong')
  })

  it('says in the start line that a stream is not there yet, and shows it when it comes', async () => {
    const stream = `later-${randomUUID()}`
    const running = start(['tail', '-s', `${await pick(0)}?stream=${stream}`], { cwd: nowhere.path })
    await running.said(new RegExp(`^tail redis:.*: .*; ${stream} is not there yet$`, 'm'))
    const redis = await openRedis(await pick(0))
    await heard(running, /"n":1/, () => redis.xadd(stream, '*', 'data', '{"n":1}'))
    await redis.quit()
    running.signal('SIGINT')
    expect(await running.ended).toMatchObject({ exit: 0 })
  })

  it('shows garbage, huge messages, odd headers and times in the future, counts them, and goes on', async () => {
    const [redis, topic] = [await openRedis(await pick(0)), `odd-${randomUUID()}`]
    const binary = ['ce-specversion', '1.0', 'ce-type', 'user.x', 'ce-source', 's', 'ce-time', '2999-01-01T00:00:00Z']
    const icon = (timestamp: string) => `{"event_type":"user.created","timestamp":"${timestamp}"}`
    await redis.xadd(topic, '*', 'data', Buffer.alloc(20 * 1024 * 1024, 'x'))
    await redis.xadd(topic, '*', 'data', Buffer.from([0xff, 0x00, 0x01]))
    await redis.xadd(topic, '*', ...binary, 'ce-id', Buffer.from([0xff, 0x41]), 'data', '{"n":1}')
    await redis.xadd(topic, '*', 'evt', '{broken', 'body', 'x')
    await redis.xadd(topic, '*', 'data', icon('yesterday'))
    await redis.xadd(topic, '99999999999999-0', 'data', icon('9999-12-31T23:59:59Z'))
    await redis.quit()
    const stream = `${await pick(0)}?stream=${topic}`
    const fields = ['--fields', 'type,time,evt.error', '--since', 'start', '--no-follow']
    const { exit, stdout, stderr } = await evt('-s', stream, ...fields)
    expect(exit).toBe(0)
    expect(stdout.replace(/20[0-8]\d-\S+Z/g, 'now').split('\n')).toEqual([
      `${topic}\tnow\t-`,
      `${topic}\tnow\t-`,
      'user.x\t2999-01-01T00:00:00.000Z\t-',
      `${topic}\tnow\t-`,
      `${topic}\tnow\tcannot decode event: timestamp is "yesterday", not a time`,
      'user.created\t9999-12-31T23:59:59.000Z\t-',
      '',
    ])
    expect(stderr).toContain('3 in no known shape, 1 that cannot be decoded: shown as they are')
  }, 60_000)
})

const plain = `tail-plain-${randomUUID()}`
const hostOf = (url: string) => new URL(url.replace(/^\w+:/, 'http:')).host
async function openRedis(url: string): Promise<Redis> {
  const { Redis } = await import('ioredis')
  return new Redis(url)
}

describe.skipIf(!has)('the examples of the help that need brokers', () => {
  it('do what they say', async () => {
    const [redis, kafka] = await Promise.all([serverUrl('redis'), serverUrl('kafka')])
    await (await publisher(kafka, 'users'))(made('user.created'))
    const client = await openRedis(redis)
    for (let n = 0; n < 3; n++)
      await client.xadd('user.events', '*', 'data', '{"event_type":"user.created","user_data":{}}')
    await client.quit()
    for (const { line, needs, endless } of tail.examples) {
      if (needs !== 'brokers') continue
      const words = line
        .replace('redis://localhost:6379/0', redis)
        .replace('kafka://localhost:9092', kafka)
        .split(' ')
        .map((word) => word.replace(/^'(.*)'$/, '$1'))
      const running = start(words.slice(1), { cwd: nowhere.path })
      if (endless) await running.said(/^tail redis:[\s\S]*^tail kafka:/m)
      if (endless) running.signal('SIGINT')
      expect(await running.ended, line).toMatchObject({ exit: 0 })
    }
  }, 60_000)
})

describeWithOwn('redis', 'tail', () => {
  it('tells once that a server went away and once that it is back, and goes on; the others never stop', async () => {
    await using database = await createTestDatabase({ max: 3 })
    await using redis = await startPrivateRedis()
    const publish = await publisher(redis.url, 'users')
    const store = (event: EvtEvent) => database.store.transaction((sql) => publishEncoded(sql, [encodeEvent(event)]))
    const words = ['-s', `${redis.url}?stream=users`, '-s', database.url]
    const running = start(['tail', ...words], { cwd: nowhere.path })
    await heard(running, /\[redis users\] .*"n":"before"/, () => publish(made('user.created', { n: 'before' })))
    await redis.kill('SIGKILL')
    await running.said(/trying again until it is back/)
    await store(made('user.created', { n: 'meanwhile' }))
    await running.said(/\[pg log\] .*"n":"meanwhile"/)
    await redis.restart()
    await running.said(/connected again/)
    await heard(running, /\[redis users\] .*"n":"after"/, () =>
      publish(made('user.created', { n: 'after' })).catch(() => {}),
    )
    running.signal('SIGINT')
    const { exit, stdout, stderr } = await running.ended
    expect(exit).toBe(0)
    expect(stderr.match(/trying again/g)).toHaveLength(1)
    expect(stderr.match(/connected again/g)).toHaveLength(1)
    const shown = stdout.match(/"n":"before"/g) ?? []
    expect(shown.length).toBeGreaterThan(0)
  }, 60_000)

  it('follows streams of a glob that appear later, in the shapes of others', async () => {
    await using redis = await startPrivateRedis()
    await redis.command('XADD', 'events:user.created', '*', 'data', '{"event_type":"user.created","user_data":{}}')
    const running = start(['tail', '-s', `${redis.url}?stream=events:*`, '--since', 'start', '--explain'], {
      cwd: nowhere.path,
    })
    await running.said(/\[redis events:user\.created\] .*user\.created.*\n {4}icons: /)
    const fields = {
      event_id: 'e7',
      event_type: 'shift.created',
      version: 'v1',
      source_service: 'shifts',
      shift_id: '7',
      metadata: '{}',
    }
    await redis.command('XADD', 'events:shift.created', '*', ...Object.entries(fields).flat())
    await running.said(/\[redis events:shift\.created\] .*shift\.created {2}shift\/7 .*"shift_id":7.*\n {4}registry: /)
    await redis.command('XADD', 'events:shift.created', '*', 'what', Buffer.from([0xff, 0xfe]).toString('latin1'))
    await running.said(/\[redis events:shift\.created\] .*events:shift\.created {2}- .*\n {4}unknown: /)
    running.signal('SIGINT')
    const { exit, stderr } = await running.ended
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: expect.not.stringContaining('cannot tail') })
  }, 60_000)

  it('keeps little of what Pub/Sub sends while the reader is stopped, and says how many it did not show', async () => {
    await using redis = await startPrivateRedis()
    const running = start(['tail', '-s', `${redis.url}?pubsub=user.*`], { cwd: nowhere.path })
    const event = (n: string) => JSON.stringify({ event_type: 'user.created', user_data: { n, pad: 'x'.repeat(200) } })
    await heard(running, /"n":"first"/, () => redis.command('PUBLISH', 'user.x', event('first')))
    running.stdout.pause()
    const flood = "for i = 1, 30000 do redis.call('PUBLISH', 'user.x', ARGV[1]) end"
    // More than all buffers on the way hold: what tail has taken by then, it had to keep or to drop.
    for (let round = 0; round < 3; round++) {
      await redis.command('EVAL', flood, 0, event('flood'))
      await until(async () => /omem=0 /.test(String(await redis.command('CLIENT', 'LIST', 'TYPE', 'pubsub'))))
    }
    await redis.command('PUBLISH', 'user.x', event('last'))
    running.stdout.resume()
    await running.said(/"n":"last"/)
    running.signal('SIGINT')
    const { stdout, stderr } = await running.ended
    const [, notShown = '0'] = /not shown ([\d,]+) · stopped: interrupted/.exec(stderr) ?? []
    const shown = stdout.match(/"n":"flood"/g)?.length ?? 0
    expect(shown + Number(notShown.replaceAll(',', ''))).toBe(90_000)
    expect(Number(notShown.replaceAll(',', ''))).toBeGreaterThan(0)
  }, 60_000)
})
