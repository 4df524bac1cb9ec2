import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Burial, BuriedMessage, DeadLetterTopics, Received, Transport } from '../../../src/transports/transport.ts'
import { type PrivateRedis, startPrivateRedis } from '../../setup/private-redis.ts'
import { openTold, textOf, watch } from './watching.ts'

let server: PrivateRedis
let redis: Redis

beforeAll(async () => {
  server = await startPrivateRedis()
  redis = new Redis(server.url)
})
afterAll(async () => {
  redis.disconnect()
  await server.stop()
})

let serial = 0
const fresh = () => `d${process.pid}:${++serial}`
const signal = () => AbortSignal.timeout(10_000)

async function open(): Promise<{ transport: Transport; letters: DeadLetterTopics }> {
  const { transport } = await openTold(server.url)
  if (transport.deadLetters === undefined) throw new Error('no dead letters')
  return { transport, letters: transport.deadLetters }
}

async function listed(letters: DeadLetterTopics, stream: string): Promise<readonly BuriedMessage[]> {
  const found: BuriedMessage[] = []
  for await (const batch of letters.list(stream, signal())) found.push(...batch)
  return found
}

const received = (topic: string, at: string, body: string | Buffer, headers = {}): Received => ({
  id: `id of ${at}`,
  key: 's/1',
  headers,
  body: Buffer.from(body),
  topic,
  at,
  deliveries: 1,
})
const burial = (message: Received): Burial => ({
  message,
  group: 'g',
  error: { class: 'TypeError', message: 'cannot read x' },
  attempts: 3,
})

const bodies = (found: readonly BuriedMessage[]) => found.map(({ message }) => Buffer.from(message.body).toString())

describe('burying', () => {
  it('keeps every byte, and buries one message of one group once, also when it is told again after a crash', async () => {
    const topic = fresh()
    const { letters } = await open()
    const one = received(topic, '1-1', Buffer.from([0, 255, 10, 34]), { 'ce-type': 'a.b', odd: 'a"\\\n' })
    const first = await letters.bury(topic, [burial(one), burial(received(topic, '1-2', '{}'))], signal())
    const again = await letters.bury(topic, [burial(one)], signal())
    expect([...first, ...again].map(({ state }) => state)).toEqual(['stored', 'stored', 'duplicate'])
    expect(again[0]).toMatchObject({ at: (first[0] as { at: string }).at })
    const [letter] = await listed(letters, `${topic}:dlq`)
    expect(letter).toMatchObject({
      message: { id: 'id of 1-1', key: 's/1', headers: one.headers },
      origin: { topic, at: '1-1', group: 'g' },
      error: { class: 'TypeError', message: 'cannot read x' },
      attempts: 3,
    })
    expect([...(letter?.message.body ?? [])]).toEqual([0, 255, 10, 34])
    await redis.xtrim(`${topic}:dlq`, 'MAXLEN', 0)
    expect((await letters.bury(topic, [burial(one)], signal()))[0]?.state).toBe('stored')
  })

  it('is refused as a whole when memory is full, and says so', async () => {
    const topic = fresh()
    const { letters } = await open()
    await redis.config('SET', 'maxmemory', '1mb')
    try {
      const [result] = await letters.bury(topic, [burial(received(topic, '1-1', '{}'))], signal())
      expect(result).toMatchObject({
        state: 'refused',
        error: { code: 'refused', message: expect.stringContaining('maxmemory') },
      })
    } finally {
      await redis.config('SET', 'maxmemory', '0')
    }
  })
})

describe('replaying', () => {
  it('moves a letter into its topic, in its lane, or leaves it where it lies', async () => {
    const topic = fresh()
    const { transport, letters } = await open()
    await transport.ensure([{ name: topic, lanes: 4 }], 'create')
    await letters.bury(topic, [burial(received(topic, '1-1', '"a"')), burial(received(topic, '1-2', '"b"'))], signal())
    const [one] = await listed(letters, `${topic}:dlq`)
    const ids = [one?.id ?? '', '7-7', 'nonsense']
    const results = await letters.replay(`${topic}:dlq`, ids, { headers: { 'ce-evtreplayid': 'r' }, signal: signal() })
    expect(results.map(({ state }) => state)).toEqual(['stored', 'refused', 'refused'])
    const observer = watch(transport, [topic], { follow: false })
    await observer.done
    expect(observer.seen).toMatchObject([{ id: 'id of 1-1', key: 's/1', headers: { 'ce-evtreplayid': 'r' } }])
    expect(observer.texts()).toEqual(['"a"'])
    expect(bodies(await listed(letters, `${topic}:dlq`))).toEqual(['"b"'])
    expect(await redis.hlen(`{${topic}:dlq}:evt:graves`)).toBe(1)
  })

  it('gives a letter of somebody else back with the fields it had', async () => {
    const [origin, dead] = [fresh(), fresh()]
    const { letters } = await open()
    await redis.xadd(
      dead,
      '*',
      'event_type',
      'user.created',
      'user_id',
      '7',
      'original_stream',
      origin,
      'error',
      'boom',
    )
    const [letter] = await listed(letters, dead)
    const [result] = await letters.replay(dead, [letter?.id ?? ''], { signal: signal() })
    expect(result?.state).toBe('stored')
    expect((await redis.xrange(origin, '-', '+'))[0]?.[1]).toEqual(['event_type', 'user.created', 'user_id', '7'])
    expect(await redis.xlen(dead)).toBe(0)
  })

  it('gives what we buried of a foreign stream back as its readers know it, without headers that they do not', async () => {
    const origin = fresh()
    const { letters } = await open()
    const one = received(origin, '1-1', '{"event_type":"user.created","user_id":"7"}')
    const two = received(origin, '1-2', '{"a":1}', { 'ce-id': 'e', 'ce-type': 'a.b' })
    await letters.bury(origin, [burial(one), burial(two)], signal())
    const ids = (await listed(letters, `${origin}:dlq`)).map(({ id }) => id)
    await letters.replay(`${origin}:dlq`, ids, { headers: { 'ce-evtreplayid': 'r' }, signal: signal() })
    expect((await redis.xrange(origin, '-', '+')).map(([, fields]) => fields)).toEqual([
      ['event_type', 'user.created', 'user_id', '7'],
      ['ce-id', 'e', 'ce-type', 'a.b', 'ce-evtreplayid', 'r', 'data', '{"a":1}'],
    ])
  })

  it('goes nowhere without an origin, until it is told where to', async () => {
    const [dead, target] = [fresh(), fresh()]
    const { letters } = await open()
    const id = (await redis.xadd(dead, '*', 'data', '{"a":1}')) ?? ''
    const [homeless] = await letters.replay(dead, [id], { signal: signal() })
    expect(homeless).toMatchObject({ state: 'refused', error: { hint: expect.stringContaining('--target') } })
    expect((await letters.replay(dead, [id], { to: target, signal: signal() }))[0]?.state).toBe('stored')
    expect((await redis.xrange(target, '-', '+'))[0]?.[1]).toEqual(['data', '{"a":1}'])
  })
})

describe('listing', () => {
  it.each([
    [
      [
        'data',
        '{"a":1}',
        'original_stream',
        'orders',
        'original_id',
        '5-0',
        'error',
        'TypeError: no x',
        'retry_count',
        '3',
        'failed_at',
        '2026-11-21T08:00:00Z',
      ],
      {
        origin: { topic: 'orders', at: '5-0' },
        error: { class: 'TypeError', message: 'no x' },
        attempts: 3,
        deadMs: 1795248000000,
      },
      '{"a":1}',
    ],
    [
      [
        'topic',
        'orders',
        'payload',
        'text',
        'exception_class',
        'java.io.IOException',
        'exception_message',
        'broken',
        'attempts',
        'many',
        'failed_at',
        '1795248000',
      ],
      {
        origin: { topic: 'orders' },
        error: { class: 'java.io.IOException', message: 'broken' },
        deadMs: 1795248000000,
      },
      '{"payload":"text"}',
    ],
    [
      ['topic', 'from the message', 'original_topic', 'orders', 'reason', 'expired'],
      { origin: { topic: 'orders' }, error: { class: 'Error', message: 'expired' } },
      '{"topic":"from the message"}',
    ],
    [['__proto__', 'x', '', ''], { origin: {} }, '{"__proto__":"x","":""}'],
  ])('understands the shape %j', async (fields, letter, body) => {
    const dead = fresh()
    const { letters } = await open()
    await redis.xadd(dead, '*', ...(fields as [string, string]))
    const [found] = await listed(letters, dead)
    expect(found).toMatchObject(letter)
    expect(Buffer.from(found?.message.body ?? []).toString()).toBe(body)
  })

  it('takes the name of a stream :dlq for where its letters came from', async () => {
    const topic = fresh()
    const { letters } = await open()
    await redis.xadd(`${topic}:dlq`, '*', 'data', '{}')
    expect((await listed(letters, `${topic}:dlq`))[0]?.origin).toEqual({ topic })
  })

  it('does not hide others behind a letter that cannot be read', async () => {
    const topic = fresh()
    const { transport, letters } = await open()
    await redis.xadd(`${topic}:dlq`, '*', 'evt', '{spoilt', 'body', 'x', 'dead', '{}')
    await redis.xadd(`${topic}:dlq`, '*', Buffer.from([255, 0]), Buffer.from([254]))
    await letters.bury(topic, [burial(received(topic, '1-1', '"good"'))], signal())
    await redis.xadd(`${topic}:dlq`, '*', 'evt', '{"id":"x","headers":{}}', 'body', 'y', 'dead', 'no json')
    expect(bodies(await listed(letters, `${topic}:dlq`))).toEqual([
      '{"evt":"{spoilt","body":"x","dead":"{}"}',
      '{"\\\\xff\\\\x00":"\\\\xfe"}',
      '"good"',
      'y',
    ])
    const observer = watch(transport, [`${topic}:dlq`], { follow: false })
    await observer.done
    expect(observer.seen.map(textOf)[2]).toBe('"good"')
  })

  it('is nothing where nothing died, and names a key that is no stream', async () => {
    const dead = fresh()
    const { letters } = await open()
    expect(await listed(letters, dead)).toEqual([])
    await redis.lpush(dead, 'x')
    await expect(listed(letters, dead)).rejects.toMatchObject({
      code: 'usage',
      message: `cannot use ${dead}: it is a list, not a stream`,
    })
  })
})
