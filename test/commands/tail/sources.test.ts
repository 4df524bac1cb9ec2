import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { encodeAs } from '../../../src/core/codec/encode-as.ts'
import { type DialectName, dialectNames, encodeEvent } from '../../../src/core/codec.ts'
import type { EvtEvent } from '../../../src/core/event.ts'
import { publishEncoded } from '../../../src/store/outbox.ts'
import { openTransport } from '../../../src/transports/registry.ts'
import type { Message } from '../../../src/transports/transport.ts'
import { createTestDatabase, type TestDatabase } from '../../setup/database.ts'
import { createNowhere, runHere, start } from '../evt.ts'

const nowhere = createNowhere()
let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase({ max: 3 })
})
afterAll(async () => {
  nowhere.dispose()
  await database[Symbol.asyncDispose]()
})

const evt = (...words: string[]) => runHere(['tail', ...words], { cwd: nowhere.path })
const forever = new AbortController().signal
let count = 0
const made = (type: string, data: object = {}): EvtEvent => ({
  ...{ id: `event-${++count}`, type, version: 1, source: 'test', time: '2026-01-02T03:04:05.678Z' },
  ...{ subject: `user/${count}`, priority: 'normal', metadata: {}, data },
})

/** A topic in this process, which the command finds too. */
async function topic(name = `t${randomUUID()}`) {
  const url = `memory://${name}/events`
  const transport = await openTransport(url)
  const send = (message: Partial<Message>) =>
    transport.publish(
      'events',
      [{ id: randomUUID(), key: null, headers: {}, body: Buffer.from(''), ...message }],
      forever,
    )
  return {
    url,
    send,
    publish: (dialect: DialectName, event: EvtEvent) => send({ id: event.id, ...encodeAs(dialect, event) }),
  }
}

async function nextMillisecond(): Promise<void> {
  for (const now = Date.now(); Date.now() === now; ) await new Promise(setImmediate)
}

const whole = ['--since', 'start', '--no-follow']

describe('tail over several sources', () => {
  it('merges their history by time, each line with its transport and topic', async () => {
    const [one, other] = [await topic(), await topic()]
    for (let n = 0; n < 6; n++) {
      await (n % 2 === 0 ? one : other).publish('cloudevents', made('user.created', { n }))
      await nextMillisecond()
    }
    const { stdout, stderr, exit } = await evt(...whole, '-s', one.url, '-s', other.url)
    expect(exit).toBe(0)
    expect(stdout.match(/"n":\d/g)).toEqual([0, 1, 2, 3, 4, 5].map((n) => `"n":${n}`))
    expect(stdout.split('\n')[0]).toMatch(/^\[memory events\] {2}2026-01-02 03:04:05\.678 {2}user\.created {2}/)
    expect(stderr.match(/^tail memory:.*: in this process/gm)).toHaveLength(2)
  })

  it('colours a topic always the same, and says its name all the same', async () => {
    const [one, other] = [await topic(), await topic()]
    await one.publish('icons', made('user.created'))
    const { stdout } = await evt(...whole, '-s', one.url, '-s', other.url, '--color', 'always')
    expect(JSON.stringify(stdout)).toMatch(/^"\\u001b\[\d+m\[memory events\]\\u001b\[39m/)
  })

  it('shows a store beside them', async () => {
    const one = await topic()
    await database.store.transaction((sql) => publishEncoded(sql, [encodeEvent(made('user.stored'))]))
    await one.publish('registry', made('user.sent'))
    const { stdout } = await evt(...whole, '-s', database.url, '-s', one.url)
    expect(stdout).toMatch(/^\[pg log\] .*user\.stored.*\n\[memory events\] .*user\.sent.*\n$/)
  })

  it.each(['store', 'embedded'])(
    'shows the store in use by the name %s, so that no password has to be copied',
    async (name) => {
      const one = await topic()
      await database.store.transaction((sql) => publishEncoded(sql, [encodeEvent(made('user.stored'))]))
      await one.publish('registry', made('user.sent'))
      const words = ['tail', ...whole, '-s', name, '-s', one.url]
      const { stdout } = await runHere(words, { cwd: nowhere.path, store: database.url })
      expect(stdout).toMatch(/^\[pg log\] .*user\.stored/m)
      expect(stdout).toMatch(/^\[memory events\] .*user\.sent/m)
      expect(await runHere(words, { cwd: nowhere.path })).toMatchObject({ exit: 3, stdout: '' })
    },
  )

  it.each([
    'postgres://app:***@127.0.0.1:1/db',
    'postgres://127.0.0.1:1/db?user=app&password=***',
    'redis://:***@127.0.0.1:1/0?stream=a',
  ])('says of %s that its password was redacted, and what to use', async (url) => {
    const { exit, stderr } = await evt('-s', url)
    expect({ exit, stderr }).toEqual({ exit: 2, stderr: expect.stringContaining('its password was replaced by ***') })
    expect(stderr).toContain('hint: -s store is the store in use')
  })

  it.each([
    [['-s', 'redis://127.0.0.1:1/0?stream=a'], /redis:\/\/127\.0\.0\.1:1/],
    [['-s', 'postgres://127.0.0.1:1/db'], /postgres:\/\/127\.0\.0\.1:1/],
  ])('names the source that fails at the start with %j, and ends with exit 3', async (words, name) => {
    const one = await topic()
    const { exit, stdout, stderr } = await evt('-s', one.url, ...words)
    expect({ exit, stdout }).toEqual({ exit: 3, stdout: '' })
    expect(stderr).toMatch(name)
  })

  it('takes the names of sources and sinks in the configuration, with their topics', async () => {
    const one = await topic()
    await one.publish('cloudevents', made('user.created'))
    const url = one.url.replace('/events', '')
    const config = { sources: [{ name: 'orders', url, topic: 'events' }], sinks: [{ name: 'out', url }] }
    const own = createNowhere()
    onTestFinished(own.dispose)
    writeFileSync(join(own.path, 'evt.config.json'), JSON.stringify(config))
    const tail = (name: string) => runHere(['tail', '-s', name, ...whole], { cwd: own.path })
    expect((await tail('orders')).stdout).toContain('user.created')
    expect((await tail('out')).stdout).toContain('user.created')
    expect((await tail('order')).stderr).toMatch(
      /it is no URL\n.*; -s store is the store in use; the configuration names out, orders\n/,
    )
  })

  it('names all that fail', async () => {
    const { exit, stderr } = await evt('-s', 'postgres://127.0.0.1:1/one', '-s', 'postgres://127.0.0.1:1/other')
    expect(exit).toBe(3)
    expect(stderr).toMatch(/127\.0\.0\.1:1\/one.*; and .*127\.0\.0\.1:1\/other/)
  })

  it.each([
    [['-s', 'memory://a'], 'cannot tail memory://a: the URL does not say what to read there'],
    [['-s', 'gopher://a/b'], 'no transport for gopher'],
    [['-s', 'memory://a/b', '-s', 'memory://a/b'], 'cannot tail memory://a/b twice'],
    [['-s', 'memory://a/b', '-s', 'memory://a/c', '--since', 'position:1'], 'a position is of one source'],
    [['-s', 'memory://a/b', '--until', 'position:0:1'], 'only positions that are numbers have an order'],
    [['-s', 'memory://a/b', '--explain', '--report'], 'cannot use --explain with --report'],
  ])('refuses %j: %s', async (words, message) => {
    const { exit, stderr } = await evt(...words)
    expect({ exit, stderr }).toEqual({ exit: 2, stderr: expect.stringContaining(message) })
  })

  it.each([
    [['--since', '15m'], /channel=nothing since 2\S+Z: it keeps no history/],
    [['--since', 'start'], /channel=nothing since the start: it keeps no history/],
    [['--no-follow'], /channel=nothing without following: it keeps no history/],
    [['--until', '1h'], /channel=nothing until 2\S+Z: it keeps no history/],
  ])('says with %j which source cannot, and what would work', async (words, message) => {
    const one = await topic()
    const { exit, stderr } = await evt('-s', one.url, '-s', `${database.url}?channel=nothing`, ...words)
    expect(exit).toBe(2)
    expect(stderr).toMatch(message)
    expect(stderr).toContain('follow it from now on, without --since and --no-follow')
  })

  it('starts at a position of one source', async () => {
    const one = await topic()
    for (const n of [1, 2, 3]) await one.publish('cloudevents', made('user.created', { n }))
    const { stdout } = await evt(
      '-s',
      one.url,
      '--since',
      'position:2',
      '--no-follow',
      '--fields',
      'evt.position,data.n',
    )
    expect(stdout).toBe('2\t2\n3\t3\n')
  })

  it('ends each source at --until, and itself when all have', async () => {
    const [one, other] = [await topic(), await topic()]
    await one.publish('cloudevents', made('user.created', { n: 1 }))
    await other.publish('cloudevents', made('user.created', { n: 2 }))
    const until = new Date(Date.now() + 1).toISOString()
    await nextMillisecond()
    await nextMillisecond()
    await one.publish('cloudevents', made('user.created', { n: 3 }))
    const { stdout } = await evt('-s', one.url, '-s', other.url, '--since', 'start', '--until', until)
    expect(stdout.match(/"n":\d/g)).toEqual(['"n":1', '"n":2'])
  })

  it('ends by itself at an --until to come, with all that came before', async () => {
    const one = await topic()
    await one.publish('cloudevents', made('user.created', { n: 1 }))
    const until = new Date(Date.now() + 1_000).toISOString()
    const words = ['-s', one.url, '--since', 'start', '--until', until, '--fields', 'data.n']
    const running = evt(...words)
    await one.publish('cloudevents', made('user.created', { n: 2 }))
    const { stdout, stderr, exit } = await running
    expect([stdout, exit]).toEqual(['1\n2\n', 0])
    // A machine that takes a second to start finds it in the past.
    expect(stderr).toMatch(/matched 2 · stopped: (--until|end)/)
  })

  it('explains silence of each of them', async () => {
    const [one, other] = [await topic(), await topic()]
    await one.publish('registry', made('user.created'))
    const { stderr } = await evt('user.*', '-s', one.url, '-s', other.url, '--idle-timeout', '3500ms')
    expect(stderr).toMatch(
      /nothing yet from memory:\S+: events head 1, 1 messages, last event \S+ ago; looking for 'user\.\*'; the last that matches is from \S+ ago: --since 1m would show it/,
    )
    expect(stderr.match(/nothing yet from/g)).toHaveLength(2)
  })
})

describe('tail of what others write', () => {
  it.each(dialectNames)('finds the same event in %s, and says with --explain how', async (dialect) => {
    const one = await topic()
    await one.publish(dialect, made('user.created', { user_id: '7', plan: 'pro' }))
    const where = ['user.*', '--where', "data.plan == 'pro'", '-s', one.url, ...whole, '--explain']
    const line = JSON.parse((await evt(...where, '-o', 'ndjson')).stdout)
    expect(line).toMatchObject({ type: 'user.created', data: { user_id: '7', plan: 'pro' }, evt: { dialect } })
    expect(line.evt.because).not.toBe('')
    const { stdout } = await evt(...where)
    expect(stdout.split('\n')[1]).toBe(`    ${dialect}: ${line.evt.because}`)
  })

  it('shows what it cannot read or does not know, counts it, and goes on', async () => {
    const one = await topic()
    await one.send({ body: Buffer.from([0xff, 0x00]) })
    await one.send({ body: Buffer.from('{"a":12345678901234567890}') })
    await one.send({
      body: Buffer.from('{"n":'),
      headers: {
        'ce-specversion': '1.0',
        'ce-id': 'e1',
        'ce-type': 'a.b',
        'ce-source': 's',
        'ce-time': '2026-01-01T00:00:00Z',
      },
    })
    await one.send({ body: Buffer.from('{"specversion":"1.0"}') })
    await one.publish('cloudevents', made('user.created'))
    const { exit, stdout, stderr } = await evt('-s', one.url, ...whole, '-o', 'ndjson')
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(exit).toBe(0)
    expect(lines.map(({ type, evt: { error } }) => [type, error])).toEqual([
      ['events', undefined],
      ['events', undefined],
      ['a.b', 'cannot decode event: the data of e1 is no JSON'],
      ['events', 'cannot decode event: id is missing'],
      ['user.created', undefined],
    ])
    expect(stdout).toContain('"data":{"a":12345678901234567890}')
    expect(stderr).toContain('2 in no known shape, 2 that cannot be decoded: shown as they are; --explain says why')
    expect(stderr).toContain('scanned 5 · matched 5 · stopped: end')
    // What a pattern leaves out may have been what it looks for.
    const some = await evt('user.*', '-s', one.url, ...whole, '-o', 'json')
    expect(some.stderr).toContain('2 in no known shape, 2 that cannot be decoded: not matched, and so not shown')
    expect(JSON.parse(some.stdout).meta).toMatchObject({ scanned: 5, matched: 1, unknown: 2, undecodable: 2 })
  })

  it('says when an event was recorded, which its own time does not tell', async () => {
    const one = await topic()
    const begunMs = Date.now()
    await one.publish('cloudevents', { ...made('user.created'), time: '2001-01-01T00:00:00.000Z' })
    const words = ['-s', one.url, '--no-follow', '--since', '1h', '-o', 'ndjson']
    const { stdout } = await evt(...words, '--where', 'evt.recordedAt > "2020"')
    const line = JSON.parse(stdout)
    expect(line.time).toBe('2001-01-01T00:00:00.000Z')
    expect(Date.parse(line.evt.recordedAt)).toBeGreaterThanOrEqual(begunMs)
  })

  it('shows every event of a batch', async () => {
    const one = await topic()
    const [a, b] = [made('user.created'), made('user.deleted')].map((event) => ({
      specversion: '1.0',
      ...event,
      version: undefined,
      metadata: undefined,
    }))
    await one.send({ body: Buffer.from(JSON.stringify([a, b])) })
    const { stdout } = await evt('-s', one.url, ...whole, '--fields', 'type')
    expect(stdout).toBe('user.created\nuser.deleted\n')
  })

  it('shows of relayed events what their headers say of their way', async () => {
    const one = await topic()
    const { headers, body } = encodeAs('cloudevents', made('user.created'))
    await one.send({ headers: { ...headers, 'evt-times': '1763712000000.5/1763712000002.5' }, body })
    const { stdout } = await evt('-s', one.url, ...whole, '--stages')
    expect(stdout).toMatch(/ {2}\+2ms relay \+\S+ sink deliver \? handle \? {2}/)
  })
})

describe('tail --prove', () => {
  it('compares what a reader could leave, and says where nothing can be asked', async () => {
    const one = await topic()
    await one.publish('cloudevents', made('user.created'))
    expect((await evt('--prove', '-s', database.url, ...whole)).exit).toBe(0)
    const { exit, stderr } = await evt('--prove', '-s', database.url, '-s', one.url, ...whole)
    expect(exit).toBe(5)
    expect(stderr).toMatch(/^prove postgres\S+: unchanged: members 0, prepared transactions 0, locks of evt tail 0$/m)
    expect(stderr).toMatch(/^prove memory:\S+: unknown, it can be asked for nothing that a reader leaves$/m)
  })

  it('fails when a reader left something, also when it is ended by Ctrl-C', async () => {
    const running = start(['tail', '--prove', '-s', database.url], { cwd: nowhere.path })
    await running.said(/: committed events/)
    await database.store.query("select evt.ensure_group('left', 1, 0)")
    running.signal('SIGINT')
    const { exit, stderr } = await running.ended
    expect({ exit, stderr }).toEqual({
      exit: 1,
      stderr: expect.stringContaining('changed: group left is new: 1 lanes'),
    })
  })
})
