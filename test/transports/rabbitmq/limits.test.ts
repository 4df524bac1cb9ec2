import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { encodeEvent } from '../../../src/core/codec.ts'
import { publishEncoded } from '../../../src/store/outbox.ts'
import { openRabbit, rabbitCapabilities } from '../../../src/transports/rabbitmq/index.ts'
import type { Message, Transport } from '../../../src/transports/transport.ts'
import { eventOf } from '../../handle/running.ts'
import { runSinks } from '../../relay/sinking.ts'
import { createTestDatabase } from '../../setup/database.ts'
import { type PrivateRabbit, startPrivateRabbit } from '../../setup/private-rabbitmq.ts'
import { describeWithOwn } from '../../setup/shared-servers.ts'
import { startTcpProxy } from '../../setup/tcp-proxy.ts'
import { consume, createWorld, idsOf, type Setup, until } from '../conformance/world.ts'
import { depthOf, foreignChannel } from './foreign.ts'

const mostBytes = 512 * 1024

describeWithOwn('rabbitmq', 'queues that refuse or are gone', () => {
  let server: PrivateRabbit
  beforeAll(async () => {
    server = await startPrivateRabbit({ settings: [`max_message_size = ${mostBytes}`] })
    // How long dead letters that nobody took wait for another try: three minutes by default.
    await server.ctl('eval', 'application:set_env(rabbit, dead_letter_worker_publisher_confirm_timeout, 500).')
  }, 60_000)
  afterAll(() => server?.stop())

  const setup = (): Setup => ({ open: () => openRabbit(server.url), capabilities: rabbitCapabilities })
  const soon = () => AbortSignal.timeout(15_000)

  async function limit(pattern: string, definition: Record<string, unknown>) {
    const lift = async () => void (await server.ctl('clear_policy', 'limit'))
    await server.ctl('set_policy', 'limit', pattern, JSON.stringify(definition), '--apply-to', 'queues')
    onTestFinished(() => lift().catch(() => {}))
    return lift
  }

  async function letters(transport: Transport, topic: string) {
    const found = []
    for await (const batch of transport.deadLetters?.list(`${topic}.dlq`, soon()) ?? []) found.push(...batch)
    return found
  }

  it.each([
    { size: 'a little above', bytes: mostBytes + 1, isOnce: false },
    { size: 'far above', bytes: 4 * mostBytes, isOnce: true },
  ])(
    'refuses soon what is $size the limit of the server, and stores what comes before it',
    async ({ bytes, isOnce }) => {
      const world = createWorld(setup(), 1)
      const transport = await world.open()
      await world.publish(transport, [])
      const messages = world.messages(7, 1).map((one, i) => (i === 3 ? { ...one, body: Buffer.alloc(bytes) } : one))
      const endless = new AbortController().signal
      const results = await transport.publish(world.topic, messages, endless)
      expect(results.map(({ state }) => state)).toEqual([...Array(3).fill('stored'), ...Array(4).fill('refused')])
      expect(results[3]).toMatchObject({
        error: {
          code: 'too-large',
          message: expect.stringContaining(`${bytes} bytes, and the server takes ${mostBytes}`),
          hint: expect.stringContaining('max_message_size'),
        },
      })
      expect(results[4]).toMatchObject({
        error: { code: 'refused', message: expect.stringContaining('earlier message') },
      })
      const consumer = consume(world, transport)
      const last = world.message('s/0', { key: 0, n: 9 })
      await world.publish(transport, [last])
      await until('the last arrived', () => idsOf(consumer.received).includes(last.id))
      const expected = idsOf([...messages.slice(0, 3), last])
      const ids = idsOf(consumer.received)
      // What the server had not confirmed when it closed the channel is sent again.
      expect(isOnce ? ids : [...new Set(ids)]).toEqual(expected)
      await consumer.stop()
    },
  )

  it('refuses what is above the limit among what others publish at the same time, and nothing of theirs', async () => {
    const world = createWorld(setup())
    const transport = await world.open()
    await world.publish(transport, [])
    const endless = new AbortController().signal
    const state = async (messages: ReturnType<typeof world.messages>) =>
      (await transport.publish(world.topic, messages, endless)).map((one) => one.state)
    const big = () => world.message('big', null, { body: Buffer.alloc(mostBytes + 1) })
    const states = await Promise.all(
      Array.from({ length: 60 }, (_, n) => state(n % 10 === 5 ? [big()] : world.messages(20, 5))),
    )
    for (const [n, own] of states.entries()) expect(own).toEqual(n % 10 === 5 ? ['refused'] : Array(20).fill('stored'))
  })

  it('refuses at once what has more headers than the server takes, and nothing behind it is stored', async () => {
    const world = createWorld(setup(), 1)
    const transport = await world.open()
    await world.publish(transport, [])
    const wide = (one: Message) => ({ ...one, headers: { ...one.headers, 'ce-wide': 'x'.repeat(200_000) } })
    const messages = world.messages(5, 1).map((one, i) => (i === 2 ? wide(one) : one))
    const results = await transport.publish(world.topic, messages, new AbortController().signal)
    expect(results.map(({ state }) => state)).toEqual(['stored', 'stored', 'refused', 'refused', 'refused'])
    expect(results[2]).toMatchObject({ error: { code: 'too-large', hint: expect.stringContaining('data') } })
    await world.publish(transport, world.messages(1, 1))
  })

  it('makes a relay bury what is above the limit, with the reason, and carry everything else', async () => {
    const { store } = await createTestDatabase()
    const world = createWorld(setup(), 2)
    const consumer = consume(world, await world.open())
    await until('its lanes are there', () => consumer.lanes.length === 2)
    const isBig = (n: number) => n % 20 === 7
    const events = Array.from({ length: 60 }, (_, n) =>
      eventOf({ type: world.type, subject: `s${n % 5}`, data: isBig(n) ? 'x'.repeat(mostBytes) : n }),
    )
    await publishEncoded(store, events.map(encodeEvent))
    const relay = runSinks(store, [{ name: 'out', url: server.url, topic: world.topic, lanes: 2, start: 'earliest' }])
    await until('three are dead', () => relay.meters.get('out')?.dead === 3)
    const { rows } = await store.query('select event_id, error_message from evt.dead_letters order by position')
    expect(rows.map((row) => row.event_id)).toEqual(idsOf(events.filter((_, n) => isBig(n))))
    expect(rows[0]?.error_message).toMatch(`bytes, and the server takes ${mostBytes}`)
    const good = events.filter((_, n) => !isBig(n))
    await until('the others arrived', () => new Set(idsOf(consumer.received)).size === good.length)
    for (const own of Map.groupBy(consumer.received, ({ key }) => key).values()) {
      const ids = [...new Set(idsOf(own))]
      expect(ids).toEqual(idsOf(good.filter(({ subject }) => subject === own[0]?.key)))
    }
    await consumer.stop()
  })

  it('refuses what a full queue refuses, says which it is, and goes on when there is room', async () => {
    const world = createWorld(setup(), 1)
    const transport = await world.open()
    await world.publish(transport, [])
    await limit(`^${world.topic}/.*/0$`, { 'max-length': 5, overflow: 'reject-publish' })
    const messages = world.messages(40, 1)
    const states = new Map<string, string>()
    const publish = async () => {
      const open = messages.filter(({ id }) => states.get(id) !== 'stored')
      const results = await transport.publish(world.topic, open, soon())
      results.forEach((result, i) => {
        states.set(open[i]?.id ?? '', result.state)
      })
      return results
    }
    let refused = (await publish()).find(({ state }) => state === 'refused')
    // A quorum queue notices a moment late that it is full.
    await until('it is full', async () => {
      refused ??= (await transport.publish(world.topic, world.messages(1, 1), soon()))[0]
      return refused?.state === 'refused'
    })
    expect(refused).toMatchObject({
      error: {
        code: 'refused',
        message: expect.stringMatching(new RegExp(`a queue refuses it .*${world.topic}/${world.group}/0, \\d+ ready`)),
        hint: expect.stringContaining('max-length'),
      },
    })
    const consumer = consume(world, transport)
    await until('the rest is taken too', async () => {
      await publish()
      return messages.every(({ id }) => states.get(id) === 'stored')
    })
    await until('all arrived', () => idsOf(messages).every((id) => idsOf(consumer.received).includes(id)))
    const arrived = new Set(idsOf(consumer.received))
    expect(idsOf(messages).filter((id) => !arrived.has(id))).toEqual([])
    await consumer.stop()
  }, 40_000)

  it('answers a publish that is aborted at once, also while it finds out which queue refuses', async () => {
    const proxy = await startTcpProxy(Number(new URL(server.url).port))
    onTestFinished(() => proxy.close())
    const world = createWorld(setup(), 1)
    const transport = await world.open()
    await world.publish(transport, [])
    await limit(`^${world.topic}/.*/0$`, { 'max-length': 1, overflow: 'reject-publish' })
    await until('it is full', async () => {
      const [result] = await transport.publish(world.topic, world.messages(1, 1), soon())
      return result?.state === 'refused'
    })
    const far = await openRabbit(proxy.through(server.url))
    onTestFinished(() => far.close())
    await far.publish(world.topic, world.messages(1, 1), soon())
    // The refusal is there after two of these delays, and the reason after many.
    proxy.delay(150)
    const stopping = new AbortController()
    const published = far.publish(world.topic, world.messages(1, 1), stopping.signal)
    setTimeout(() => {
      stopping.abort()
      proxy.delay(0)
      proxy.freeze()
    }, 600)
    const answer = await Promise.race([published, delay(8_000, undefined, { ref: false })])
    proxy.thaw()
    expect(['refused', 'unknown']).toContain(answer?.[0]?.state)
  }, 40_000)

  it('refuses a dead letter that the dead-letter queue has no room for, and takes it when it has', async () => {
    const world = createWorld(setup(), 1)
    const transport = await world.open()
    const consumer = consume(world, transport, { onBatch: async () => {} })
    await world.publish(transport, world.messages(3, 1))
    await until('it holds them', () => consumer.received.length === 3)
    const bury = (i: number) => {
      const message = consumer.received[i]
      if (message === undefined) throw new Error('nothing to bury')
      const error = { class: 'Error', message: 'no' }
      return transport.deadLetters?.bury(world.topic, [{ message, group: world.group, error, attempts: 1 }], soon())
    }
    expect(await bury(0)).toMatchObject([{ state: 'stored' }])
    // Without a word about overflow: a queue of others would drop the oldest.
    const lift = await limit(`^${world.topic}.dlq$`, { 'max-length': 1 })
    await until('it is refused', async () => (await bury(1))?.[0]?.state === 'refused')
    expect(await bury(1)).toMatchObject([{ state: 'refused', error: { message: expect.stringContaining('1 ready') } }])
    expect(idsOf((await letters(transport, world.topic)).map(({ message }) => message))).toEqual([
      consumer.received[0]?.id,
    ])
    await lift()
    await until('it is taken', async () => (await bury(1))?.[0]?.state === 'stored')
    const foreign = await foreignChannel(server.url)
    await foreign.queueDelete({ queue: `${world.topic}.dlq` })
    expect(await bury(2)).toMatchObject([{ state: 'stored' }])
    expect(await depthOf(server.url, `${world.topic}.dlq`)).toBe(1)
    await consumer.stop()
  }, 40_000)

  it('keeps what the server gave up while its dead-letter queue is gone, and a member makes that again', async () => {
    const world = createWorld(setup(), 1)
    const transport = await world.open()
    const messages = world.messages(2, 1)
    await world.publish(transport, messages)
    await limit(`^${world.topic}/`, { 'delivery-limit': 1 })
    const foreign = await foreignChannel(server.url)
    await foreign.queueDelete({ queue: `${world.topic}.dlq` })
    const queue = `${world.topic}/${world.group}/0`
    const { consumerTag } = await foreign.basicConsume({ queue }, ({ deliveryTag }) =>
      foreign.basicNack({ deliveryTag, requeue: true }),
    )
    await until('both are given up', async () => (await depthOf(server.url, queue)) === 0)
    await foreign.basicCancel(consumerTag)
    const consumer = consume(world, await world.open())
    await until('both are dead letters', async () => (await letters(transport, world.topic)).length === 2)
    expect(consumer.received).toEqual([])
    await consumer.stop()
  }, 40_000)
})
