import { execFile } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { kafkaCapabilities, openKafka } from '../../../src/transports/kafka/index.ts'
import type { BuriedMessage } from '../../../src/transports/transport.ts'
import { bareKafka } from '../../setup/bare-kafka.ts'
import { type PrivateKafka, startPrivateKafka } from '../../setup/private-kafka.ts'
import { type Consumer, consume, createWorld, dataOf, idsOf, until } from '../conformance/world.ts'

let kafka: PrivateKafka
beforeAll(async () => {
  kafka = await startPrivateKafka()
})
afterAll(() => kafka?.stop())

const worldOf = (lanes: number) =>
  createWorld({ open: () => openKafka(kafka.url), capabilities: kafkaCapabilities }, lanes)

describe('a storm of rebalances', () => {
  it('loses nothing, and lets no key go back or be held by two', async () => {
    const world = worldOf(6)
    const transport = await world.open()
    const held = new Map<string | null, string>()
    const faults: string[] = []
    const last = new Map<string | null, number>()
    const settled = new Set<string>()
    let turn = 0
    let batches = 0
    const join = (): Consumer => {
      const member = `m${++turn}`
      return consume(world, transport, {
        member,
        max: 7,
        prefetch: 20,
        async onBatch(batch, lane) {
          for (const message of batch) {
            const holder = held.get(message.key)
            if (holder !== undefined && holder !== member) faults.push(`${message.key}: ${holder} and ${member}`)
            held.set(message.key, member)
            const { n } = dataOf(message)
            // It may come again from before, as a whole: never with a hole.
            if (n > (last.get(message.key) ?? 0) + 1) faults.push(`${message.key}: ${n} after ${last.get(message.key)}`)
            last.set(message.key, Math.max(n, last.get(message.key) ?? 0))
          }
          // Some take longer than a rebalance.
          await delay(++batches % 30 === 0 ? 1_800 : 2)
          for (const { key } of batch) held.delete(key)
          await lane.settle(batch)
          for (const { id } of batch) settled.add(id)
        },
      })
    }
    const members = [join(), join()]
    const messages = world.messages(3_600, 60)
    const publishing = (async () => {
      for (let i = 0; i < messages.length; i += 60) {
        await world.publish(transport, messages.slice(i, i + 60))
        await delay(60)
      }
    })()
    for (let round = 0; round < 9; round++) {
      members.push(join())
      await delay(200)
      await members.splice(round % members.length, 1)[0]?.stop()
      await delay(200)
    }
    await publishing
    await until('all are settled', () => settled.size === messages.length, 30_000)
    expect(faults).toEqual([])
    await Promise.all(members.map((member) => member.stop()))
  }, 90_000)
})

describe('dead letters of others', () => {
  it('are read as Spring writes them, replayed byte for byte and once, and then gone from the list', async () => {
    const world = worldOf(2)
    const transport = await world.open()
    const grave = `${world.topic}.DLT`
    await transport.ensure([{ name: grave, lanes: 2 }], 'create')
    const client = bareKafka(kafka.port)
    const producer = client.producer({ createPartitioner: () => () => 1 })
    await producer.connect()
    const int32 = Buffer.from([0, 0, 0, 1])
    const int64 = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0x80])
    const headers = {
      'kafka_dlt-original-topic': world.topic,
      'kafka_dlt-original-partition': int32,
      'kafka_dlt-original-offset': int64,
      'kafka_dlt-original-timestamp': int64,
      'kafka_dlt-original-timestamp-type': 'CreateTime',
      'kafka_dlt-original-consumer-group': 'billing',
      'kafka_dlt-exception-fqcn': 'java.lang.IllegalStateException',
      'kafka_dlt-exception-message': 'no such account: ü',
      kafka_deliveryAttempt: Buffer.from([0, 0, 0, 3]),
      odd: Buffer.from([0xff]),
    }
    await producer.send({ topic: grave, messages: [{ key: 'k', value: Buffer.from([0, 0xfe]), headers }] })
    await producer.send({ topic: grave, messages: [{ key: 'k', value: 'no idea' }] })
    await producer.disconnect()
    const signal = AbortSignal.timeout(20_000)
    const list = async () => {
      const found: BuriedMessage[] = []
      for await (const batch of transport.deadLetters?.list(grave, signal) ?? []) found.push(...batch)
      return found
    }
    const [first, second] = await list()
    expect(first).toMatchObject({
      id: '1:0',
      message: { id: `${world.topic}@1:128`, key: 'k', headers: { odd: '\\xff' } },
      origin: { topic: world.topic, at: '1:128', group: 'billing' },
      error: { class: 'java.lang.IllegalStateException', message: 'no such account: ü' },
      attempts: 3,
    })
    expect(Object.keys(first?.message.headers ?? {})).toEqual(['odd'])
    expect(second).toMatchObject({ id: '1:1', origin: {} })
    const replay = (ids: readonly string[], to?: string) =>
      transport.deadLetters?.replay(grave, ids, { signal, ...(to !== undefined && { to }) })
    const states = (await replay(['1:0', '1:1', '1:9', 'x']))?.map(({ state }) => state)
    expect(states).toEqual(['stored', 'refused', 'refused', 'refused'])
    expect((await list()).map(({ id }) => id)).toEqual(['1:1'])
    expect(await replay(['1:0'])).toMatchObject([
      { state: 'refused', error: { message: expect.stringContaining('replayed already') } },
    ])
    expect(await replay(['1:1'], world.topic)).toMatchObject([{ state: 'stored' }])
    const consumer = consume(world, transport, { patterns: [] })
    await until('both arrived', () => consumer.received.length === 2)
    expect(idsOf(consumer.received).toSorted()).toEqual([`${grave}@1:1`, `${world.topic}@1:128`].toSorted())
    const back = consumer.received.find(({ id }) => id === `${world.topic}@1:128`)
    expect([...(back?.body ?? [])]).toEqual([0, 0xfe])
    await consumer.stop()
  })

  it('that come from the log are handled again, though their position is an old one', async () => {
    const world = worldOf(1)
    const transport = await world.open()
    const consumer = consume(world, transport)
    await world.publish(
      transport,
      [1, 2, 3].map((n) => world.message('s', n, { log: BigInt(n) })),
    )
    await until('all arrived', () => consumer.received.length === 3)
    const [bad] = consumer.received
    if (bad === undefined) throw new Error('no message')
    const signal = AbortSignal.timeout(10_000)
    const burial = { message: bad, group: world.group, error: { class: 'E', message: 'm' }, attempts: 2 }
    expect(await transport.deadLetters?.bury(world.topic, [burial], signal)).toMatchObject([
      { state: 'stored', at: '0:0' },
    ])
    await transport.deadLetters?.replay(transport.deadLetters.nameOf(world.topic), ['0:0'], { signal })
    await until('it came again', () => consumer.received.length === 4)
    expect(consumer.received[3]?.id).toBe(bad.id)
    await consumer.stop()
  })
})

describe('the server', () => {
  it('is told apart from one that will lose messages', async () => {
    const transport = await openKafka(`${kafka.url}/compacted`)
    onTestFinished(() => transport.close())
    expect(await transport.checkServer?.()).toEqual([])
    const client = bareKafka(kafka.port).admin()
    await client.connect()
    const configEntries = [
      { name: 'cleanup.policy', value: 'compact' },
      { name: 'unclean.leader.election.enable', value: 'true' },
    ]
    await client.createTopics({ topics: [{ topic: 'compacted', numPartitions: 1, configEntries }] })
    await client.disconnect()
    const problems = (await transport.checkServer?.())?.map(({ problem }) => problem)
    expect(problems).toEqual([
      'compacted may lose confirmed messages in an unclean election',
      'compacted is compacted: of a subject only the last event stays',
    ])
  })
})

describe('a process', () => {
  it('ends by itself after close, and nothing was written to its console', async () => {
    const program = `
      import { openKafka } from './src/transports/kafka/index.ts'
      const transport = await openKafka('${kafka.url}')
      await transport.ensure([{ name: 'ends', lanes: 2 }], 'create')
      const message = { id: '1', key: 'k', headers: {}, body: new Uint8Array() }
      await transport.publish('ends', [message], AbortSignal.timeout(5000))
      const options = { prefetch: 5, patterns: [], start: 'earliest', lanes: 2, member: 'm', signal: new AbortController().signal }
      let count = 0
      for await (const lane of transport.lanes(['ends'], 'ends', options)) {
        lane.take(5, options.signal)
        if (++count === 2) void transport.close()
      }`
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module-typescript', '-e', program],
      { timeout: 15_000 },
    )
    expect([stdout, stderr]).toEqual(['', ''])
  })
})
