import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { kafkaCapabilities, openKafka } from '../../../src/transports/kafka/index.ts'
import type { Message, Received } from '../../../src/transports/transport.ts'
import { bareKafka } from '../../setup/bare-kafka.ts'
import { type PrivateKafka, startPrivateKafka } from '../../setup/private-kafka.ts'
import {
  consume,
  counted,
  createWorld,
  firstLanes,
  idsOf,
  sequences,
  takeExactly,
  until,
  type World,
} from '../conformance/world.ts'

let kafka: PrivateKafka
beforeAll(async () => {
  kafka = await startPrivateKafka()
})
afterAll(() => kafka?.stop())

/** A world whose problems are kept; over `url`, or straight. */
function createTroubled(lanes: number, url = kafka.url) {
  const problems: Error[] = []
  const open = () => openKafka(url, { onProblem: (error) => problems.push(error) })
  return { problems, open, world: createWorld({ open, capabilities: kafkaCapabilities }, lanes) }
}

async function admin() {
  const client = bareKafka(kafka.port).admin()
  await client.connect()
  onTestFinished(() => client.disconnect())
  return client
}

async function deleteTopic(topic: string): Promise<void> {
  const client = await admin()
  await client.deleteTopics({ topics: [topic] })
  await until('it is gone', async () => !(await client.listTopics()).includes(topic))
}

/** Publishes one after the other until `until` says so; what is not confirmed is published again. Returns what was confirmed. */
async function publishThrough(world: World, transport: Awaited<ReturnType<World['open']>>, isOver: () => boolean) {
  const confirmed: Message[] = []
  let longestMs = 0
  for (let n = 0; !isOver(); n++) {
    const batch = Array.from({ length: 10 }, (_, i) => world.message(`s/${i}`, { key: i, n: n + 1 }))
    const started = performance.now()
    for (let pending = batch; pending.length > 0; ) {
      const results = await transport.publish(world.topic, pending, AbortSignal.timeout(20_000))
      pending = pending.filter((_, i) => results[i]?.state !== 'stored')
    }
    longestMs = Math.max(longestMs, performance.now() - started)
    confirmed.push(...batch)
    await delay(1)
  }
  return { confirmed, longestMs }
}

describe('a broker that is away', () => {
  it('for five seconds under publish and consume loses nothing, and they go on within three seconds of its return', async () => {
    const { world } = createTroubled(4)
    const transport = await world.open()
    const consumer = consume(world, transport)
    let back = 0
    let resumedMs = 0
    const publishing = publishThrough(world, transport, () => {
      if (back > 0 && resumedMs === 0) resumedMs = performance.now() - back
      return resumedMs > 0 && performance.now() - back > resumedMs + 500
    })
    await until('it is under way', () => consumer.received.length > 50)
    await kafka.kill('SIGKILL')
    const before = consumer.received.length
    await delay(5_000)
    await kafka.restart()
    back = performance.now()
    const { confirmed } = await publishing
    expect(resumedMs).toBeLessThan(3_000)
    await until('it is consumed too', () => consumer.received.length > before + 20, 5_000)
    await until('all arrived', () => {
      const ids = new Set(idsOf(consumer.received))
      return confirmed.every(({ id }) => ids.has(id))
    })
    for (const sequence of sequences(consumer.received).values())
      expect([...new Set(sequence)]).toEqual([...new Set(sequence)].toSorted((a, b) => a - b))
    await consumer.stop()
  }, 60_000)

  it('but keeps its sockets open (a cable is pulled) is noticed, and nothing is lost', async () => {
    const proxy = await kafka.proxied()
    const { world } = createTroubled(2, proxy.url)
    const transport = await world.open()
    const consumer = consume(world, transport)
    let over = false
    const publishing = publishThrough(world, transport, () => over)
    await until('it is under way', () => consumer.received.length > 50)
    proxy.freeze()
    onTestFinished(() => proxy.thaw())
    // Longer than every deadline of ours: the connections are given up, and so are new ones.
    await delay(8_000)
    proxy.thaw()
    const before = consumer.received.length
    await until('it goes on', () => consumer.received.length > before + 50, 10_000)
    over = true
    const { confirmed } = await publishing
    await until('all arrived', () => {
      const ids = new Set(idsOf(consumer.received))
      return confirmed.every(({ id }) => ids.has(id))
    })
    // What was sent twice, because an answer was lost, is stored once.
    const stored: string[] = []
    const options = { from: 'start', follow: false, signal: AbortSignal.timeout(10_000) } as const
    for await (const batch of transport.observe({ topics: [world.topic], patterns: [] }, options))
      stored.push(...idsOf(batch))
    expect(stored.toSorted()).toEqual(idsOf(confirmed).toSorted())
    await consumer.stop()
  }, 60_000)

  it('two seconds away and back loses nothing', async () => {
    const proxy = await kafka.proxied()
    const { world } = createTroubled(2, proxy.url)
    const transport = await world.open()
    const consumer = consume(world, transport)
    await world.publish(transport, world.messages(8, 4))
    await until('it is under way', () => consumer.received.length === 8)
    proxy.delay(1_000)
    onTestFinished(() => proxy.delay(0))
    const later = [1, 2].map(() => world.messages(40, 4))
    for (const batch of later) await world.publish(transport, batch)
    const isComplete = () => new Set(idsOf(consumer.received)).size === 88
    await until('all arrived', isComplete, 60_000)
    proxy.delay(0)
    for (const batch of later) {
      const own = new Set(idsOf(batch))
      const came = consumer.received.filter(({ id }) => own.has(id))
      for (const sequence of sequences(came).values()) expect([...new Set(sequence)]).toEqual(counted(10))
    }
    await consumer.stop()
  }, 90_000)

  it('that has what it was sent, but whose answers are lost: what is sent again reaches the handlers once', async () => {
    const proxy = await kafka.proxied()
    const { world } = createTroubled(2, proxy.url)
    const [transport, straight] = [await world.open(), await openKafka(kafka.url)]
    onTestFinished(() => straight.close())
    const consumer = consume(world, straight)
    const entries = (from: number, to: number) =>
      counted(to, from).map((n) => world.message(`s/${n % 5}`, { key: n % 5, n }, { log: BigInt(n) }))
    await world.publish(transport, entries(1, 20))
    proxy.swallow()
    const lost = entries(21, 60)
    const giveUp = new AbortController()
    const publishing = transport.publish(world.topic, lost, giveUp.signal)
    await until('the broker has them', () => consumer.received.length === 60)
    giveUp.abort()
    expect(new Set((await publishing).map(({ state }) => state))).toEqual(new Set(['unknown']))
    proxy.cut()
    // As the relay does: from where nothing was confirmed, until it is.
    let open = [...lost, ...entries(61, 70)]
    await until('all are confirmed', async () => {
      const results = await transport.publish(world.topic, open, AbortSignal.timeout(10_000))
      open = open.filter((_, i) => results[i]?.state !== 'stored')
      return open.length === 0
    })
    await until('all arrived', () => consumer.received.length >= 70)
    await until('nothing lags', async () => (await straight.inspect([world.topic])).groups[0]?.lagMessages === 0)
    expect(consumer.received.map(({ log }) => Number(log)).toSorted((a, b) => a - b)).toEqual(counted(70))
    for (const sequence of sequences(consumer.received).values())
      expect(sequence).toEqual(sequence.toSorted((a, b) => a - b))
    await consumer.stop()
  })

  it('and stays away does not hold close, nor a publish beyond its signal', async () => {
    const proxy = await kafka.proxied()
    const { world } = createTroubled(2, proxy.url)
    const transport = await world.open()
    const consumer = consume(world, transport)
    await until('it has its lanes', () => consumer.lanes.length === 2)
    proxy.freeze()
    onTestFinished(() => proxy.thaw())
    const started = performance.now()
    const results = await transport.publish(world.topic, world.messages(3, 3), AbortSignal.timeout(500))
    expect(results.map(({ state }) => state)).toEqual(['unknown', 'unknown', 'unknown'])
    await transport.close()
    expect(performance.now() - started).toBeLessThan(8_000)
    expect(consumer.owned).toEqual([])
  }, 30_000)
})

describe('topics that change', () => {
  it('deleted and made anew under a group: it says so, and reads the new one from its beginning', async () => {
    const { world, problems } = createTroubled(2)
    const transport = await world.open()
    const consumer = consume(world, transport)
    await world.publish(transport, world.messages(20, 4))
    await until('all arrived', () => consumer.received.length === 20)
    await deleteTopic(world.topic)
    await until('it is told', () => problems.some(({ message }) => message.includes('was deleted')))
    const [refused] = await transport.publish(world.topic, world.messages(1, 1), AbortSignal.timeout(10_000))
    expect(refused).toMatchObject({
      state: 'refused',
      error: { message: expect.stringContaining('there is no topic') },
    })
    await transport.ensure([{ name: world.topic, lanes: 2 }], 'create')
    const later = world.messages(30, 4)
    await world.publish(transport, later)
    await until('the new ones arrived', () => consumer.received.length >= 50, 20_000)
    expect(idsOf(consumer.received.slice(20)).toSorted()).toEqual(idsOf(later).toSorted())
    await consumer.stop()
  }, 60_000)

  it('deleted and made anew while the group was away: its old position skips nothing', async () => {
    const { world } = createTroubled(1)
    const transport = await world.open()
    const consumer = consume(world, transport)
    await world.publish(transport, world.messages(20, 1))
    await until('all arrived', () => consumer.received.length === 20)
    await consumer.stop()
    await deleteTopic(world.topic)
    await transport.close()
    const other = await world.open()
    const later = world.messages(30, 1)
    await world.publish(other, later)
    const next = consume(world, other)
    await until('the new ones arrived', () => next.received.length >= 30)
    expect(idsOf(next.received)).toEqual(idsOf(later))
    await next.stop()
  }, 60_000)

  it('gone while the group shares its lanes out: they are back when the topic is', async () => {
    const { world } = createTroubled(2)
    const transport = await world.open()
    const first = consume(world, transport)
    await until('it has its lanes', () => first.owned.length === 2)
    await deleteTopic(world.topic)
    await first.lanes[0]?.release()
    await until('it shared out nothing', () => first.owned.length === 0)
    await transport.ensure([{ name: world.topic, lanes: 2 }], 'create')
    await until('it has its lanes again', () => first.owned.length === 2, 15_000)
    await first.stop()
  }, 60_000)

  it('with messages deleted that a group had not read: it stops and tells, and skips nothing by itself', async () => {
    const { world, problems } = createTroubled(1)
    const transport = await world.open()
    const messages = world.messages(20, 1)
    await world.publish(transport, messages)
    const [lane] = await firstLanes(world, transport, 1)
    await lane?.settle((await takeExactly(lane, 5)) ?? [])
    await lane?.release()
    const client = await admin()
    // kafkajs has to know the topic first.
    await client.fetchTopicOffsets(world.topic)
    await client.deleteTopicRecords({ topic: world.topic, partitions: [{ partition: 0, offset: '12' }] })
    const consumer = consume(world, transport)
    await until('it is told', () => problems.length > 0)
    expect(problems[0]).toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/stands at 5, and the topic has 12 to 20; 7 messages were deleted/),
      hint: expect.stringContaining('--reset-offsets --to-earliest'),
    })
    expect(consumer.received).toEqual([])
    await consumer.stop()
    await until('it left', async () => (await transport.inspect([world.topic])).groups[0]?.members === 0)
    // The remedy works.
    await client.setOffsets({ groupId: world.group, topic: world.topic, partitions: [{ partition: 0, offset: '12' }] })
    const again = consume(world, transport)
    await until('the rest arrived', () => again.received.length === 8)
    expect(idsOf(again.received)).toEqual(idsOf(messages.slice(12)))
    await again.stop()
  }, 60_000)

  it('with more partitions than before: publish and group stop and ask, and ?partitions= is the answer', async () => {
    const { world, problems } = createTroubled(2)
    const transport = await world.open()
    await world.publish(transport, world.messages(8, 4))
    const consumer = consume(world, transport)
    await until('all arrived', () => consumer.received.length === 8)
    await consumer.stop()
    const client = await admin()
    await client.createPartitions({ topicPartitions: [{ topic: world.topic, count: 3 }] })
    await until(
      'it has them',
      async () => (await transport.ensure([{ name: world.topic, lanes: 3 }], 'check')).length === 0,
    )
    expect(await transport.ensure([{ name: world.topic, lanes: 2 }], 'check')).toMatchObject([
      { problem: 'has 3 partitions, and should have 2' },
    ])
    const [refused] = await transport.publish(world.topic, world.messages(1, 1), AbortSignal.timeout(5_000))
    expect(refused).toMatchObject({
      state: 'refused',
      error: {
        message: expect.stringContaining('has 3 partitions, and had 2'),
        hint: expect.stringContaining('?partitions=3'),
      },
    })
    const stopped = consume(world, transport)
    await until('it is told', () => problems.some(({ message }) => message.includes('has 3 partitions, and had 2')))
    expect(stopped.lanes).toEqual([])
    await stopped.stop()
    const answered = await openKafka(`${kafka.url}?partitions=3`)
    onTestFinished(() => answered.close())
    const later = world.messages(9, 9)
    await world.publish(answered, later)
    // It is an answer, and no demand: other topics have what they have.
    await answered.ensure([{ name: `${world.topic}.other`, lanes: 1 }], 'create')
    const other = await answered.publish(`${world.topic}.other`, world.messages(1, 1), AbortSignal.timeout(5_000))
    expect(other).toMatchObject([{ state: 'stored' }])
    const goingOn = consume(world, answered)
    await until('the new ones arrived', () => goingOn.received.length === 9)
    expect(idsOf(goingOn.received).toSorted()).toEqual(idsOf(later).toSorted())
    await goingOn.stop()
  }, 60_000)

  it('that were never there are named, with what is like them', async () => {
    const { world, open } = createTroubled(1)
    const transport = await open()
    onTestFinished(() => transport.close())
    await transport.ensure([{ name: 'orders', lanes: 1 }], 'create')
    const signal = AbortSignal.timeout(10_000)
    const wrong = {
      code: 'usage',
      message: expect.stringContaining('there is no topic ordres'),
      hint: 'did you mean orders?',
    }
    expect(await transport.publish('ordres', [world.message('a', 1)], signal)).toMatchObject([
      { state: 'refused', error: wrong },
    ])
    const observing = async () => {
      for await (const _ of transport.observe(
        { topics: ['ordres'], patterns: [] },
        { from: 'now', follow: true, signal },
      ));
    }
    await expect(observing()).rejects.toMatchObject(wrong)
    const reading = async () => {
      for await (const _ of transport.lanes?.(['ordres'], 'g', world.options()) ?? []);
    }
    await expect(reading()).rejects.toMatchObject(wrong)
  })
})

describe('messages that are no good', () => {
  it('of 20 MiB are refused with both sizes, and the next one goes', async () => {
    const { world } = createTroubled(1)
    const transport = await world.open()
    const big = world.message('s/1', null, { body: Buffer.alloc(20 * 1024 * 1024) })
    const [result] = await transport.publish(world.topic, [big], AbortSignal.timeout(20_000))
    expect(result).toMatchObject({
      state: 'refused',
      error: { code: 'too-large', message: expect.stringMatching(/has 2097\d{4} bytes, and the topic takes 4194304/) },
    })
    await world.publish(transport, [world.message('s/1', 1)])
  })

  it('together too many for one batch are stored in several', async () => {
    const { world } = createTroubled(1)
    const client = await admin()
    await client.createTopics({
      topics: [{ topic: world.topic, numPartitions: 1, configEntries: [{ name: 'max.message.bytes', value: '3000' }] }],
    })
    const transport = await world.open()
    const messages = world.messages(100, 1)
    await world.publish(transport, messages)
    const consumer = consume(world, transport)
    await until('all arrived', () => consumer.received.length === 100)
    expect(idsOf(consumer.received)).toEqual(idsOf(messages))
    await consumer.stop()
  })

  it('of any bytes stop neither a group nor a tail', async () => {
    const { world } = createTroubled(1)
    const transport = await world.open()
    const client = bareKafka(kafka.port)
    const producer = client.producer({ createPartitioner: () => () => 0 })
    await producer.connect()
    const garbage = [
      { value: Buffer.from([0xff, 0xfe, 0, 1]) },
      { value: Buffer.from('{"id":'), headers: { 'content-type': 'application/cloudevents+json' } },
      {
        value: null,
        key: Buffer.from([0xc3]),
        headers: { ce_id: Buffer.from([0xff]), 'evt-log': 'many', ce_type: '%E0%A4%A' },
      },
    ]
    await producer.send({ topic: world.topic, messages: garbage.map((message) => ({ key: null, ...message })) })
    await producer.disconnect()
    const good = world.message('s/1', 1)
    await world.publish(transport, [good])
    const consumer = consume(world, transport, { patterns: [] })
    await until('all arrived', () => consumer.received.length === 4)
    expect(consumer.received.at(-1)?.id).toBe(good.id)
    expect(consumer.received[2]).toMatchObject({ key: '\\xc3', id: '\\xff' })
    await consumer.stop()
  })

  it('from before the last one by the log are dropped, also by the next owner', async () => {
    const { world } = createTroubled(1)
    const transport = await world.open()
    const logged = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, i) => world.message('s/1', from + i, { log: BigInt(from + i) }))
    const first = consume(world, transport)
    await world.publish(transport, logged(1, 6))
    await until('all arrived', () => first.received.length === 6)
    await first.stop()
    // A relay that lost its cursor goes back.
    await world.publish(transport, logged(3, 9))
    const second = consume(world, transport)
    await until('the new ones arrived', () => second.received.length >= 3)
    expect(second.received.map(({ log }) => log)).toEqual([7n, 8n, 9n])
    await until('nothing lags', async () => (await transport.inspect([world.topic])).groups[0]?.lagMessages === 0)
    await second.stop()
  })
})

describe('memory', () => {
  it('stays bounded while a consumer stands still at full rate', async () => {
    const { world } = createTroubled(2)
    const transport = await world.open()
    const standing = consume(world, transport, { prefetch: 10, onBatch: async () => {} })
    await until('it has its lanes', () => standing.lanes.length === 2)
    const body = Buffer.alloc(20_000, 'x')
    const send = async () => {
      const batch = Array.from({ length: 200 }, (_, i) => world.message(`s/${i}`, null, { body }))
      await transport.publish(world.topic, batch, AbortSignal.timeout(20_000))
    }
    await send()
    await until('it is full', () => standing.received.length === 20)
    const before = process.memoryUsage().arrayBuffers
    for (let i = 0; i < 30; i++) await send()
    // 120 MB were published; what is at hand is less than a few batches a lane, and garbage.
    await until('it is given back', () => {
      globalThis.gc?.()
      return process.memoryUsage().arrayBuffers - before < 40_000_000
    })
    expect(standing.received.length).toBe(20)
    await standing.stop()
  }, 60_000)
})

describe('looking', () => {
  it('follows topics that appear later, and leaves nothing in the server', async () => {
    const { world, open } = createTroubled(1)
    const transport = await open()
    onTestFinished(() => transport.close())
    const before = await transport.footprint?.([world.topic])
    const seen: Received[] = []
    const stopping = new AbortController()
    const run = async () => {
      const options = { from: 'now', follow: true, signal: stopping.signal } as const
      for await (const batch of transport.observe({ topics: [`${world.topic}*`], patterns: [] }, options))
        seen.push(...batch)
    }
    const running = run()
    await transport.ensure([{ name: `${world.topic}.later`, lanes: 1 }], 'create')
    await transport.publish(`${world.topic}.later`, [world.message('a', 1)], AbortSignal.timeout(5_000))
    await until('it is seen', () => seen.length === 1)
    stopping.abort()
    await running
    expect(await transport.footprint?.([world.topic])).toEqual(before)
  })

  it('refuses a position that is none', async () => {
    const { world } = createTroubled(1)
    const transport = await world.open()
    const options = { from: { position: 'five' }, follow: false, signal: AbortSignal.timeout(5_000) } as const
    const looking = async () => {
      for await (const _ of transport.observe({ topics: [world.topic], patterns: [] }, options));
    }
    await expect(looking()).rejects.toMatchObject({ code: 'usage', hint: expect.stringContaining('partition:offset') })
  })
})
