import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createReader, createWriter } from '../../../src/transports/kafka/bytes.ts'
import { type Cluster, openCluster } from '../../../src/transports/kafka/cluster.ts'
import { kafkaCapabilities, openKafka } from '../../../src/transports/kafka/index.ts'
import { parseKafkaUrl } from '../../../src/transports/kafka/options.ts'
import { encodeOutgoing } from '../../../src/transports/kafka/outgoing.ts'
import { produceCall } from '../../../src/transports/kafka/produce-call.ts'
import type { Call } from '../../../src/transports/kafka/protocol.ts'
import { encodeBatch } from '../../../src/transports/kafka/records.ts'
import type { Transport } from '../../../src/transports/transport.ts'
import { type PrivateKafka, startPrivateKafka } from '../../setup/private-kafka.ts'
import { consume, counted, createWorld, until, type World } from '../conformance/world.ts'

let kafka: PrivateKafka
let cluster: Cluster
beforeAll(async () => {
  // A producer that says nothing for a moment is forgotten.
  const settings = ['producer.id.expiration.ms=1000', 'producer.id.expiration.check.interval.ms=100']
  kafka = await startPrivateKafka({ settings })
  cluster = await openCluster(parseKafkaUrl(kafka.url))
}, 120_000)
afterAll(async () => {
  cluster?.close()
  await kafka?.stop()
})

interface ProducerState {
  readonly id: bigint
  readonly epoch: number
  readonly lastSequence: number
}

/** DescribeProducers 0: what the broker remembers of those who wrote to partition 0. */
function describeProducers(topic: string): Call<readonly ProducerState[]> {
  return {
    name: 'DescribeProducers',
    apiKey: 61,
    apiVersion: 0,
    flexible: true,
    encode() {
      const writer = createWriter()
      writer.uvarint(2)
      writer.compactString(topic)
      writer.uvarint(2)
      writer.int32(0)
      writer.uvarint(0)
      writer.uvarint(0)
      return writer.bytes
    },
    decode(payload) {
      const reader = createReader(payload)
      reader.int32()
      reader.uvarint()
      reader.compactString()
      reader.uvarint()
      reader.int32()
      expect(reader.int16()).toBe(0)
      reader.compactString()
      return Array.from({ length: reader.uvarint() - 1 }, () => {
        const state = { id: reader.int64(), epoch: reader.int32(), lastSequence: reader.int32() }
        reader.slice(20)
        reader.tags()
        return state
      })
    },
  }
}

async function remembered(topic: string): Promise<readonly ProducerState[]> {
  const [broker] = await cluster.brokers()
  return cluster.ask(broker?.node ?? 1, () => describeProducers(topic))
}

/** One partition; what was published stands in it, and came to a group, in this order and once. */
async function createPlace() {
  const world = createWorld({ open: () => openKafka(kafka.url), capabilities: kafkaCapabilities }, 1)
  const transport = await world.open()
  const entry = (n: number) => world.message('s/1', { key: 1, n }, { log: BigInt(n) })
  const entries = (from: number, to: number) => counted(to, from).map(entry)
  return { world, transport, entry, entries }
}

/** Somebody writes as the producer that wrote last. */
async function impersonate(world: World, change: (state: ProducerState) => { epoch: number; sequence: number }) {
  const [state] = await remembered(world.topic)
  if (state === undefined) throw new Error('the broker remembers nobody')
  const [broker] = await cluster.brokers()
  const foreign = [1, 2, 3].map((n) => ({ message: world.message('other', { key: 0, n }) }))
  const bytes = encodeBatch(encodeOutgoing(foreign), Date.now(), { producerId: state.id, ...change(state) })
  const [produced] = await cluster.ask(broker?.node ?? 1, (versions) =>
    produceCall(versions, [{ topic: world.topic, partition: 0, bytes }]),
  )
  expect(produced?.errorCode).toBe(0)
}

async function storedLogs(world: World, transport: Transport): Promise<number[]> {
  const logs: number[] = []
  const options = { from: 'start', follow: false, signal: AbortSignal.timeout(10_000) } as const
  for await (const batch of transport.observe({ topics: [world.topic], patterns: [] }, options))
    for (const { log } of batch) if (log !== undefined) logs.push(Number(log))
  return logs
}

describe('a producer that the broker', () => {
  it('is ahead of (OUT_OF_ORDER_SEQUENCE) goes on in a new epoch, with nothing lost or twice', async () => {
    const { world, transport, entries } = await createPlace()
    await world.publish(transport, entries(1, 5))
    await impersonate(world, ({ epoch, lastSequence }) => ({ epoch, sequence: lastSequence + 1 }))
    await world.publish(transport, entries(6, 10))
    await world.publish(transport, entries(11, 12))
    expect(await storedLogs(world, transport)).toEqual(counted(12))
    const [state] = await remembered(world.topic)
    expect(state?.epoch).toBe(1)
  })

  it('has fenced (INVALID_PRODUCER_EPOCH) goes on behind that, with nothing lost or twice', async () => {
    const { world, transport, entries } = await createPlace()
    await world.publish(transport, entries(1, 5))
    await impersonate(world, ({ epoch }) => ({ epoch: epoch + 3, sequence: 0 }))
    await world.publish(transport, entries(6, 10))
    await world.publish(transport, entries(11, 12))
    expect(await storedLogs(world, transport)).toEqual(counted(12))
  })

  it('has forgotten (UNKNOWN_PRODUCER_ID, where a broker still says so) goes on, with nothing lost or twice', async () => {
    const { world, transport, entries } = await createPlace()
    await world.publish(transport, entries(1, 5))
    await until('it is forgotten', async () => (await remembered(world.topic)).length === 0)
    await world.publish(transport, entries(6, 10))
    await world.publish(transport, entries(11, 12))
    expect(await storedLogs(world, transport)).toEqual(counted(12))
  })

  it('has forgotten before an answer came: what is then stored twice reaches handlers once', async () => {
    const { world, transport, entries } = await createPlace()
    const proxy = await kafka.proxied()
    const through = await openKafka(proxy.url)
    onTestFinished(() => through.close())
    const consumer = consume(world, transport)
    await world.publish(through, entries(1, 5))
    proxy.swallow()
    const publishing = world.publish(through, entries(6, 10))
    await until('the broker has them', () => consumer.received.length === 10)
    await until('it is forgotten', async () => (await remembered(world.topic)).length === 0)
    proxy.cut()
    await publishing
    await world.publish(through, entries(11, 12))
    await until('the last came', () => consumer.received.some(({ log }) => log === 12n))
    expect(consumer.received.map(({ log }) => Number(log))).toEqual(counted(12))
    expect(await storedLogs(world, transport)).toEqual([...counted(10), ...counted(10, 6), 11, 12])
    await consumer.stop()
  })
})
