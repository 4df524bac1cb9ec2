import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { openRabbit } from '../../../src/transports/rabbitmq/index.ts'
import { observeRabbit } from '../../../src/transports/rabbitmq/observe.ts'
import { parseRabbitUrl } from '../../../src/transports/rabbitmq/options.ts'
import { createSession } from '../../../src/transports/rabbitmq/session.ts'
import { createTopics } from '../../../src/transports/rabbitmq/topics.ts'
import type {
  BuriedMessage,
  LaneOptions,
  ObserveOptions,
  Received,
  Transport,
} from '../../../src/transports/transport.ts'
import { findRabbit } from '../../setup/broker-binaries.ts'
import { type PrivateRabbit, startPrivateRabbit } from '../../setup/private-rabbitmq.ts'
import { until } from '../conformance/world.ts'
import { depthOf, foreignChannel } from './foreign.ts'

const soon = () => AbortSignal.timeout(10_000)

describe.skipIf(findRabbit() === undefined)('RabbitMQ and the mistakes of people', () => {
  let server: PrivateRabbit
  beforeAll(async () => {
    server = await startPrivateRabbit({ tls: true, management: true })
  }, 60_000)
  afterAll(() => server?.stop())

  async function open(url: string): Promise<Transport> {
    const transport = await openRabbit(url)
    onTestFinished(() => transport.close())
    return transport
  }
  const withLogin = (login: string) => server.url.replace('guest:guest', login)
  let names = 0
  const unique = (what: string) => `${what}-${++names}`

  it.concurrent.each([
    ['a wrong password', () => withLogin('guest:secret'), 'refuses this user or password'],
    ['a wrong user', () => withLogin('nobody:secret'), 'refuses this user or password'],
    ['a wrong vhost', () => `${server.url}/nowhere`, 'vhost nowhere not found'],
    ['nobody there', () => 'amqp://127.0.0.1:1', 'connection refused'],
    ['TLS where there is none', () => server.url.replace('amqp:', 'amqps:'), 'AMQP without TLS'],
    ['no TLS where it is', () => `amqp://guest:guest@127.0.0.1:${server.tls?.port}`, 'speaks TLS'],
    ['a certificate of nobody', () => server.tls?.url ?? '', 'not trusted'],
    ['the management port', () => `amqp://127.0.0.1:${new URL(server.managementUrl ?? '').port}`, 'looks like HTTP'],
  ])('tells %s within seconds, without the password', async (_, url, reason) => {
    const startedAt = performance.now()
    const failed = openRabbit(url())
    await expect(failed).rejects.toMatchObject({
      code: 'connect',
      message: expect.stringContaining(reason),
      hint: expect.any(String),
    })
    await expect(failed).rejects.not.toThrow(/secret|guest:guest/)
    expect(performance.now() - startedAt).toBeLessThan(8_000)
  })

  it.concurrent('gives up a port that takes connections and says nothing', async ({ onTestFinished }) => {
    const mute = createServer(() => {})
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void mute.close())
    const { port } = mute.address() as { port: number }
    await expect(openRabbit(`amqp://127.0.0.1:${port}`)).rejects.toMatchObject({
      code: 'connect',
      message: expect.stringContaining('within 5 s'),
    })
  }, 15_000)

  it('connects over TLS with the authority that is named, and to the host of several that answers', async () => {
    const transport = await open(`${server.tls?.url}?verify=false`)
    expect(await transport.about?.()).toMatch(/^RabbitMQ \d/)
    const second = server.url.replace('@', '@127.0.0.1:1,')
    expect(await (await open(second)).about?.()).toMatch(/^RabbitMQ \d/)
  })

  it('names what a user may not use', async () => {
    await server.ctl('add_user', 'small', 'secret')
    await server.ctl('set_permissions', '-p', '/', 'small', '^small', '^small', '.*')
    const transport = await open(withLogin('small:secret'))
    await expect(transport.ensure([{ name: 'other', lanes: 1 }], 'create')).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringMatching(/other.*access to \w+ 'other/),
      hint: expect.stringContaining('set_permissions'),
    })
    const [result] = await transport.publish(
      'amq.topic',
      [{ id: '1', key: null, headers: {}, body: Buffer.alloc(0) }],
      soon(),
    )
    expect(result).toMatchObject({
      state: 'refused',
      error: { message: expect.stringContaining("exchange 'amq.topic'") },
    })
  })

  it('says that an exchange has no past, and that looking into a queue would take from it', async () => {
    const foreign = await foreignChannel(server.url)
    const queue = unique('orders')
    await foreign.queueDeclare({ queue, durable: true })
    await foreign.basicPublish({ routingKey: queue }, 'one')
    const transport = await open(`${server.url}?queue=${queue}`)
    const first = (topic: string, from: 'now' | 'start') =>
      transport
        .observe({ topics: [topic], patterns: [] }, { from, follow: true, signal: soon() })
        [Symbol.asyncIterator]()
        .next()
    await expect(first('amq.topic', 'start')).rejects.toMatchObject({
      code: 'unsupported',
      hint: expect.stringContaining('stream'),
    })
    await expect(first(queue, 'now')).rejects.toMatchObject({
      code: 'refused',
      hint: expect.stringContaining('?exchange='),
    })
    await expect(first('nothing', 'now')).rejects.toMatchObject({ code: 'usage' })
    expect(await depthOf(server.url, queue)).toBe(1)
  })

  it('shows garbage, and what follows it', async () => {
    const exchange = unique('events')
    const foreign = await foreignChannel(server.url)
    await foreign.exchangeDeclare({ exchange, type: 'topic', durable: true })
    const transport = await open(`${server.url}?exchange=${exchange}&key=user.%23`)
    expect(transport.named).toEqual([exchange])
    const seen: Received[] = []
    const stopping = new AbortController()
    const observing = (async () => {
      const options = { from: 'now', follow: true, signal: stopping.signal } as const
      for await (const batch of transport.observe({ topics: transport.named, patterns: [] }, options))
        seen.push(...batch)
    })()
    await until('it observes', async () => {
      await foreign.basicPublish({ exchange, routingKey: 'user.ping' }, 'ping')
      return seen.length > 0
    })
    const headers = { n: 1, t: { a: [true, null] }, s: 'text', 'cloudEvents:type': 7, 'cloudEvents:id': 'e1' }
    await foreign.basicPublish({ exchange, routingKey: 'order.made' }, 'not for this key')
    await foreign.basicPublish(
      { exchange, routingKey: 'user.a', headers, contentType: 'application/json' },
      Buffer.from([0, 255, 1]),
    )
    await foreign.basicPublish({ exchange, routingKey: 'user.last' }, Buffer.from('{"a":1}'))
    await until('the last is seen', () => seen.at(-1)?.headers['amqp-routing-key'] === 'user.last')
    const odd = seen.find(({ headers }) => headers['amqp-routing-key'] === 'user.a')
    expect(odd).toMatchObject({
      id: 'e1',
      topic: exchange,
      headers: { n: '1', t: '{"a":[true,null]}', s: 'text', 'ce-type': '7' },
    })
    expect([...(odd?.body ?? [])]).toEqual([0, 255, 1])
    expect(seen.some(({ headers }) => headers['amqp-routing-key'] === 'order.made')).toBe(false)
    stopping.abort()
    await observing
  })

  it('observes a topic of evt by type, though its lanes stand before the type', async () => {
    const topic = unique('topic')
    const publisher = await open(server.url)
    await publisher.ensure([{ name: topic, lanes: 2 }], 'create')
    const transport = await open(`${server.url}?exchange=${topic}&key=user.%23`)
    const seen: Received[] = []
    const stopping = new AbortController()
    const observing = (async () => {
      const options = { from: 'now', follow: true, signal: stopping.signal } as const
      for await (const batch of transport.observe({ topics: [topic], patterns: [] }, options)) seen.push(...batch)
    })()
    const message = (type: string) => ({ id: type, key: type, headers: { 'ce-type': type }, body: Buffer.from('{}') })
    await until('it sees the type', async () => {
      await publisher.publish(topic, [message('order.made'), message('user.made')], soon())
      return seen.length > 1
    })
    expect(new Set(seen.map(({ id }) => id))).toEqual(new Set(['user.made']))
    stopping.abort()
    await observing
  })

  it('reads a foreign exchange and a foreign queue as a group, in order, and writes to both', async () => {
    const foreign = await foreignChannel(server.url)
    const [exchange, queue] = [unique('events'), unique('orders')]
    await foreign.exchangeDeclare({ exchange, type: 'topic', durable: true })
    await foreign.queueDeclare({ queue, durable: true })
    const transport = await open(server.url)
    const got = new Map<string, string[]>([
      [exchange, []],
      [queue, []],
    ])
    const stopping = new AbortController()
    const options = {
      prefetch: 10,
      patterns: [],
      start: 'earliest',
      lanes: 4,
      member: 'm',
      signal: stopping.signal,
    } as const
    const running = (async () => {
      for await (const lane of transport.lanes?.([exchange, queue], 'bridge', options) ?? []) {
        void (async () => {
          while (!lane.lost.aborted) {
            const batch = await lane.take(5, stopping.signal)
            for (const { topic, body } of batch) got.get(topic)?.push(Buffer.from(body).toString())
            await lane.settle(batch)
            if (stopping.signal.aborted) await lane.release()
          }
        })()
      }
    })()
    await until('the group is there', async () => (await transport.inspect([exchange, queue])).groups.length === 2)
    const message = (n: number) => ({ id: String(n), key: null, headers: {}, body: Buffer.from(String(n)) })
    for (const topic of [exchange, queue]) {
      const results = await transport.publish(
        topic,
        Array.from({ length: 50 }, (_, n) => message(n)),
        soon(),
      )
      expect(new Set(results.map(({ state }) => state))).toEqual(new Set(['stored']))
    }
    const expected = Array.from({ length: 50 }, (_, n) => String(n))
    await until('all arrived', () => [...got.values()].every((bodies) => bodies.length >= 50))
    expect([...got.values()]).toEqual([expected, expected])
    stopping.abort()
    await running
  })

  it('counts what other processes hold where the URL names the management API', async () => {
    const [topic, stopping] = [unique('topic'), new AbortController()]
    const holder = await open(server.url)
    const asker = await open(`${server.url}?management=${server.managementUrl}`)
    await holder.ensure([{ name: topic, lanes: 1 }], 'create')
    const options = {
      prefetch: 100,
      patterns: [],
      start: 'earliest',
      lanes: 1,
      member: 'm',
      signal: stopping.signal,
    } as const
    const lanes = holder.lanes?.([topic], 'g', options)[Symbol.asyncIterator]()
    const lane = (await lanes?.next())?.value
    const messages = Array.from({ length: 7 }, (_, n) => ({
      id: `${n}`,
      key: 'k',
      headers: {},
      body: Buffer.from('x'),
    }))
    await holder.publish(topic, messages, soon())
    expect((await lane.take(7, soon())).length).toBeGreaterThan(0)
    await until('it counts them', async () => (await asker.inspect([topic])).groups[0]?.lagMessages === 7)
    stopping.abort()
    await lane.release()
    await holder.remove?.([topic])
    expect(await asker.inspect([topic])).toMatchObject({ groups: [] })
    expect((await server.ctl('list_queues', 'name')).includes(topic)).toBe(false)
  }, 30_000)

  it('drops what one log sends again, keyless too, and nothing that another log sends', async () => {
    const [topic, ended] = [unique('topic'), new AbortController()]
    const transport = await open(server.url)
    await transport.ensure([{ name: topic, lanes: 4 }], 'create')
    const options = {
      prefetch: 100,
      patterns: [],
      start: 'earliest',
      lanes: 4,
      member: 'm',
      signal: ended.signal,
    } as const
    await transport.join?.([topic], 'g', options)
    const of = (logId: string, key: string | null) =>
      Array.from({ length: 9 }, (_, n) => {
        const id = `${logId} ${key} ${n}`
        return { id, key, headers: {}, body: Buffer.from('x'), log: BigInt(n + (key === null ? 100 : 1)), logId }
      })
    const messages = [...of('a/main', 'k'), ...of('b/main', 'k'), ...of('a/main', null), ...of('b/main', null)]
    for (let time = 0; time < 3; time++) await transport.publish(topic, messages, soon())
    const last = { id: 'last', headers: {}, body: Buffer.from('x') }
    const keys = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'k']
    await transport.publish(
      topic,
      keys.map((key) => ({ ...last, key })),
      soon(),
    )
    const { received } = consumeAll(transport, topic, options)
    await until('the last ones came', () => received.filter(({ id }) => id === 'last').length === keys.length)
    const ids = received.map(({ id }) => id).filter((id) => id !== 'last')
    expect(ids.toSorted()).toEqual(messages.map(({ id }) => id).toSorted())
    ended.abort()
  })

  it('reads a stream from its start, from a position, and follows it', async () => {
    const foreign = await foreignChannel(server.url)
    const queue = unique('stream')
    await foreign.queueDeclare({ queue, durable: true, arguments: { 'x-queue-type': 'stream' } })
    for (let n = 0; n < 10; n++)
      await foreign.basicPublish({ routingKey: queue, durable: true }, Buffer.from(String(n)))
    const transport = await open(`${server.url}?queue=${queue}`)
    const read = async (from: 'start' | { readonly position: string }) => {
      const bodies: string[] = []
      for await (const batch of transport.observe(
        { topics: [queue], patterns: [] },
        { from, follow: false, signal: soon() },
      ))
        bodies.push(...batch.map(({ body, at }) => `${at}:${Buffer.from(body)}`))
      return bodies
    }
    const all = Array.from({ length: 10 }, (_, n) => `${n}:${n}`)
    expect(await read('start')).toEqual(all)
    expect(await read({ position: '7' })).toEqual(all.slice(7))
    expect(await read('start')).toEqual(all)
  })

  it('says of a stream that it can be read from anywhere, and of nothing else; a group of it would lose messages', async () => {
    const foreign = await foreignChannel(server.url)
    const [queue, plain, ended] = [unique('stream'), unique('plain'), new AbortController()]
    await foreign.queueDeclare({ queue, durable: true, arguments: { 'x-queue-type': 'stream' } })
    await foreign.queueDeclare({ queue: plain, durable: true })
    const transport = await open(`${server.url}?queue=${queue}`)
    expect(transport.capabilities).toMatchObject({ history: true, seeks: ['start', 'time', 'position'] })
    expect((await open(`${server.url}?queue=${plain}`)).capabilities).toMatchObject({ history: false, seeks: [] })
    const options = {
      prefetch: 1,
      patterns: [],
      start: 'earliest',
      lanes: 1,
      member: 'm',
      signal: ended.signal,
    } as const
    await expect(transport.join?.([queue], 'g', options)).rejects.toMatchObject({ code: 'unsupported' })
  })

  it('ends at the end of a stream, wherever it is asked to begin', async () => {
    const foreign = await foreignChannel(server.url)
    const queue = unique('stream')
    await foreign.queueDeclare({ queue, durable: true, arguments: { 'x-queue-type': 'stream' } })
    for (let n = 0; n < 3; n++) await foreign.basicPublish({ routingKey: queue, durable: true }, 'x')
    const transport = await open(`${server.url}?queue=${queue}`)
    const writtenAt = performance.now()
    await until('the last second was silent', () => performance.now() - writtenAt > 1_500)
    const count = async (from: ObserveOptions['from']) => {
      const [selector, signal] = [{ topics: [queue], patterns: [] }, soon()]
      let shown = 0
      for await (const batch of transport.observe(selector, { from, follow: false, signal })) shown += batch.length
      expect(signal.aborted).toBe(false)
      return shown
    }
    expect(await count('now')).toBe(0)
    expect(await count({ position: '3' })).toBe(0)
    expect(await count({ position: '2' })).toBe(1)
    expect(await count({ timeMs: Date.now() + 60_000 })).toBe(0)
    expect(await count({ timeMs: Date.now() })).toBe(0)
    expect(await count({ timeMs: Date.now() - 60_000 })).toBe(3)
  }, 40_000)

  it('tells how much an observer that is too slow was not shown', async () => {
    const [topic, ended, problems] = [unique('exchange'), new AbortController(), [] as string[]]
    const foreign = await foreignChannel(server.url)
    await foreign.exchangeDeclare({ exchange: topic, type: 'topic', durable: true })
    const session = createSession(parseRabbitUrl(server.url))
    onTestFinished(() => session.close())
    const init = {
      session,
      topics: createTopics(session),
      mostWaiting: 100_000,
      onProblem: (error: Error) => problems.push(error.message),
    }
    const options = { from: 'now', follow: true, signal: ended.signal } as const
    const shown = observeRabbit(init, { topics: [topic], patterns: [] }, options)
    let isShown = false
    const first = shown.next().then(() => {
      isShown = true
    })
    await until('it is shown one', async () => {
      await foreign.basicPublish({ exchange: topic, routingKey: 'k' }, 'first')
      return isShown
    })
    await first
    const body = Buffer.alloc(1_000)
    // 2,000 are sent ahead, 100 may wait.
    await Promise.all(
      Array.from({ length: 5_000 }, () => foreign.basicPublish({ exchange: topic, routingKey: 'k' }, body)),
    )
    const told = () => Number(/the oldest (\d+) or more/.exec(problems.at(-1) ?? '')?.[1] ?? 0)
    await until('it is told', () => told() > 2_800)
    expect(told()).toBeLessThanOrEqual(3_000)
    ended.abort()
    await shown.return(undefined)
    expect(await server.ctl('list_queues', 'name')).not.toContain('evt.observer-dropped')
  }, 30_000)

  describe('dead letters of others', () => {
    async function list(transport: Transport, queue: string): Promise<readonly BuriedMessage[]> {
      const found: BuriedMessage[] = []
      for await (const batch of transport.deadLetters?.list(queue, soon()) ?? []) found.push(...batch)
      return found
    }

    /** Twelve messages that a consumer rejected, in a dead-letter queue with these arguments. */
    async function withDead(queueArguments: Record<string, unknown>) {
      const foreign = await foreignChannel(server.url)
      const [queue, letters] = [unique('orders'), unique('dead')]
      await foreign.queueDeclare({ queue: letters, durable: true, arguments: queueArguments })
      const toLetters = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': letters }
      await foreign.queueDeclare({ queue, durable: true, arguments: toLetters })
      for (let n = 0; n < 12; n++) {
        const envelope = { routingKey: queue, durable: true, messageId: `m${n}`, headers: { n, 'x-number': 1.5 } }
        await foreign.basicPublish(envelope, Buffer.from(`body ${n}`))
        const message = await foreign.basicGet({ queue })
        if (message) foreign.basicNack({ deliveryTag: message.deliveryTag, requeue: false })
      }
      await until('all are dead', async () => (await depthOf(server.url, letters)) === 12)
      return { foreign, queue, letters }
    }

    it('lists a classic queue thirty times and leaves it as it is', async () => {
      const { queue, letters } = await withDead({})
      const transport = await open(server.url)
      const first = await list(transport, letters)
      expect(first.map(({ message }) => message.id)).toEqual(Array.from({ length: 12 }, (_, n) => `m${n}`))
      expect(first[3]).toMatchObject({
        message: { headers: { n: '3', 'x-number': '1.5' } },
        origin: { topic: queue },
        error: { class: 'rejected', message: expect.stringContaining(`queue ${queue}`) },
        attempts: 1,
      })
      expect(first[0]?.message.headers).not.toHaveProperty('x-death')
      expect(Math.abs(Date.now() - (first[0]?.deadMs ?? 0))).toBeLessThan(60_000)
      for (let look = 2; look <= 30; look++) expect(await list(transport, letters)).toEqual(first)
      expect(await depthOf(server.url, letters)).toBe(12)
    }, 60_000)

    it('replays exactly those that it is told to, to the queue in which they died, with every type of header', async () => {
      const { foreign, queue, letters } = await withDead({})
      const transport = await open(server.url)
      const found = await list(transport, letters)
      const ids = [found[4]?.id ?? '', found[2]?.id ?? '']
      const results = await transport.deadLetters?.replay(letters, ids, { signal: soon() })
      expect(results?.map(({ state }) => state)).toEqual(['stored', 'stored'])
      const left = (await list(transport, letters)).map(({ message }) => message.id)
      expect(left).toEqual(['m0', 'm1', 'm3', 'm5', 'm6', 'm7', 'm8', 'm9', 'm10', 'm11'])
      const again = [await foreign.basicGet({ queue }), await foreign.basicGet({ queue })]
      expect(new Set(again.map((message) => message?.messageId))).toEqual(new Set(['m2', 'm4']))
      expect(again[0]?.headers).toMatchObject({ 'x-number': 1.5 })
    })

    it('replays letters of one subject in the order in which they lie there', async () => {
      const [topic, ended] = [unique('topic'), new AbortController()]
      const transport = await open(server.url)
      await transport.ensure([{ name: topic, lanes: 4 }], 'create')
      const options = {
        prefetch: 100,
        patterns: [],
        start: 'earliest',
        lanes: 4,
        member: 'm',
        signal: ended.signal,
      } as const
      await transport.join?.([topic], 'g', options)
      const burials = Array.from({ length: 40 }, (_, n) => ({
        message: { id: `${n}`, key: 's', headers: {}, body: Buffer.from('x'), topic, at: `${n}`, deliveries: 1 },
        group: 'g',
        error: { class: 'Error', message: 'no' },
        attempts: 1,
      }))
      await transport.deadLetters?.bury(topic, burials, soon())
      const ids = (await list(transport, `${topic}.dlq`)).map(({ id }) => id)
      const results = await transport.deadLetters?.replay(`${topic}.dlq`, ids, { signal: soon() })
      expect(new Set(results?.map(({ state }) => state))).toEqual(new Set(['stored']))
      const { received } = consumeAll(transport, topic, options)
      await until('all are back', () => received.length === 40)
      expect(received.map(({ id }) => id)).toEqual(burials.map(({ message }) => message.id))
      ended.abort()
    })

    it('refuses a quorum queue with a delivery limit, thirty times, and nothing is gone', async () => {
      const { letters } = await withDead({ 'x-queue-type': 'quorum', 'x-delivery-limit': 3 })
      for (const url of [server.url, `${server.url}?management=${server.managementUrl}`]) {
        const transport = await open(url)
        for (let look = 0; look < 15; look++) {
          await expect(list(transport, letters)).rejects.toMatchObject({
            code: 'refused',
            message: expect.stringContaining('after 3 of them its messages are gone'),
            hint: expect.stringContaining('evt dlq list --move-beside'),
          })
        }
      }
      expect(await depthOf(server.url, letters)).toBe(12)
    }, 60_000)

    it('refuses a quorum queue without a limit too: a policy may come, and counts what was looked at before', async () => {
      const { letters } = await withDead({ 'x-queue-type': 'quorum' })
      const transport = await open(server.url)
      for (let look = 0; look < 30; look++)
        await expect(list(transport, letters)).rejects.toMatchObject({ code: 'refused' })
      await expect(transport.deadLetters?.replay(letters, ['m1'], { signal: soon() })).rejects.toMatchObject({
        code: 'refused',
      })
      await server.ctl('set_policy', 'few', `^${letters}$`, '{"delivery-limit":1}', '--apply-to', 'queues')
      await expect(list(transport, letters)).rejects.toMatchObject({ code: 'refused' })
      expect(await depthOf(server.url, letters)).toBe(12)
    }, 60_000)

    it('lists a stream for ever, and replays nothing from it: it keeps what it has', async () => {
      const letters = unique('dead')
      const foreign = await foreignChannel(server.url)
      await foreign.queueDeclare({ queue: letters, durable: true, arguments: { 'x-queue-type': 'stream' } })
      const headers = {
        'x-exception-message': 'no such user',
        'x-exception-stacktrace': 'java.lang.IllegalState: no such user\n at x',
      }
      for (let n = 0; n < 12; n++) {
        await foreign.basicPublish({ routingKey: letters, durable: true, messageId: `m${n}`, headers }, 'body')
      }
      const transport = await open(server.url)
      const first = await list(transport, letters)
      const error = { class: 'java.lang.IllegalState', message: 'no such user' }
      expect(first).toMatchObject(Array.from({ length: 12 }, (_, n) => ({ id: `m${n}`, error })))
      for (let look = 0; look < 5; look++) expect(await list(transport, letters)).toEqual(first)
      await expect(transport.deadLetters?.replay(letters, ['m1'], { signal: soon() })).rejects.toMatchObject({
        code: 'unsupported',
      })
    }, 60_000)
  })
})

/** Settles what comes, and gives the lanes back when the signal aborts. */
function consumeAll(transport: Transport, topic: string, options: LaneOptions): { readonly received: Received[] } {
  const received: Received[] = []
  async function work() {
    for await (const lane of transport.lanes?.([topic], 'g', options) ?? []) {
      void (async () => {
        while (!lane.lost.aborted && !options.signal.aborted) {
          const batch = await lane.take(100, options.signal)
          received.push(...batch)
          await lane.settle(batch)
        }
        await lane.release()
      })()
    }
  }
  void work()
  return { received }
}
