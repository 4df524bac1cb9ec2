import { EvtError, toError } from '../../core/errors.ts'
import type { Published } from '../transport.ts'
import { type Cluster, pause, persist } from './cluster.ts'
import { describeTopic } from './configs.ts'
import { brokerError, throwIfFailed, tooLarge, translate, typeOf, unknownTopic } from './errors.ts'
import { createOrder, type OpenOrder } from './orders.ts'
import { encodeOutgoing, type Outgoing } from './outgoing.ts'
import { partitionOf } from './partition.ts'
import { type Batch, createPartitionWriter, type Item, type PartitionWriter } from './partition-writer.ts'
import { produceCall } from './produce-call.ts'
import { kafkaCall } from './protocol.ts'
import { createPublishedTopics, unknownTopicForMs } from './published-topics.ts'
import { visibleTopics } from './topics.ts'
import { keyBytes } from './wire.ts'

const maxBatchBytes = 512 * 1024
const maxRequestBytes = 1024 * 1024
const maxRequestsInFlight = 5
/** Longer than the broker's own bound on its replicas. */
const callTimeoutMs = 7_000
const deliverWithinMs = 30_000
const retryPauseMs = 100
/** More than this no broker reads as one request, unless told to. */
const hopelessBytes = 95 * 1024 * 1024

export interface Producer {
  /** One result each. Per partition a prefix is stored. An abort gives `unknown`; throws only what is wrong with the topic itself. */
  publish(topic: string, batch: readonly Outgoing[], signal: AbortSignal): Promise<readonly Published[]>
}

/** Idempotent, acks=all, up to five batches a partition under way. */
export function createProducer(cluster: Cluster): Producer {
  const writers = new Map<string, PartitionWriter>()
  const topics = createPublishedTopics(cluster)
  const busy = new Set<PartitionWriter>()
  const repairing = new Set<PartitionWriter>()
  const requestsInFlight = new Map<number, number>()
  const unknownSince = new Map<PartitionWriter, number>()
  let producerId: Promise<bigint> | undefined
  let spread = 0
  let isScheduled = false

  function writerOf(topic: string, partition: number): PartitionWriter {
    const key = `${topic}/${partition}`
    const known = writers.get(key)
    if (known !== undefined) return known
    const unknown = (cause: Error | undefined) =>
      new EvtError('timeout', `cannot publish to ${topic}: an answer was lost, so nobody knows whether it is stored`, {
        hint: 'publish it again: its id tells consumers that it is the same',
        cause,
      })
    const made = createPartitionWriter({ topic, partition, maxBatchBytes, unknown })
    writers.set(key, made)
    return made
  }

  /** An entry of the log has the same partition whenever it comes: repeated behind a higher position, it would pass for an old one. */
  function choosePartition(message: Outgoing['message'], count: number): number {
    const { key } = message
    if (key !== null) return partitionOf(typeof key === 'string' ? keyBytes(key) : key, count)
    const log = 'log' in message ? message.log : undefined
    return log === undefined ? spread++ % count : Number(log % BigInt(count))
  }

  function schedule(): void {
    if (isScheduled) return
    isScheduled = true
    queueMicrotask(() => {
      isScheduled = false
      void pump()
    })
  }

  async function pump(): Promise<void> {
    const id = await currentProducerId().catch(() => undefined)
    if (id === undefined) return
    for (let sent = true; sent; ) {
      sent = false
      for (const [node, batches] of collect(id)) {
        sent = true
        void send(node, batches)
      }
    }
  }

  /** Asked for until there is one, or nobody waits any more. */
  function currentProducerId(): Promise<bigint> {
    if (producerId === undefined) {
      const asked = askProducerId()
      producerId = asked
      asked.catch(() => {
        if (producerId === asked) producerId = undefined
        if (busy.size > 0 && !cluster.closing.aborted) void pause(retryPauseMs, cluster.closing).then(schedule)
      })
    }
    return producerId
  }

  async function askProducerId(): Promise<bigint> {
    const answer = await cluster.ask('any', (versions) =>
      kafkaCall(versions, 'InitProducerId', { transactionalId: null, transactionTimeout: 60_000 }),
    )
    throwIfFailed(answer.errorCode)
    return BigInt(answer.producerId)
  }

  /** Node → what it gets next: at most one batch a partition. */
  function collect(id: bigint): Map<number, [PartitionWriter, Batch][]> {
    const requests = new Map<number, [PartitionWriter, Batch][]>()
    const sizes = new Map<number, number>()
    for (const writer of busy) {
      if (writer.isIdle) {
        busy.delete(writer)
        continue
      }
      if (repairing.has(writer)) continue
      const leader = cluster.known(writer.topic)?.partitions[writer.partition]?.leader ?? -1
      if (leader < 0) {
        void mend(writer, async () => {})
        continue
      }
      const size = sizes.get(leader) ?? 0
      if (size >= maxRequestBytes || (requestsInFlight.get(leader) ?? 0) >= maxRequestsInFlight) continue
      const batch = writer.next(id)
      if (batch === undefined) continue
      requests.set(leader, [...(requests.get(leader) ?? []), [writer, batch]])
      sizes.set(leader, size + batch.bytes.length)
    }
    for (const node of requests.keys()) requestsInFlight.set(node, (requestsInFlight.get(node) ?? 0) + 1)
    return requests
  }

  async function send(node: number, batches: readonly [PartitionWriter, Batch][]): Promise<void> {
    try {
      const connection = await cluster.connection(node, 'produce')
      const parts = batches.map(([{ topic, partition }, { bytes }]) => ({ topic, partition, bytes }))
      const answers = await connection.send(produceCall(connection.versions, parts), callTimeoutMs)
      for (const [writer, batch] of batches) {
        const answer = answers.find(({ topic, partition }) => topic === writer.topic && partition === writer.partition)
        if (answer?.errorCode === 0) {
          unknownSince.delete(writer)
          writer.succeeded(batch, answer.baseOffset)
        } else fail(writer, batch, brokerError(answer?.errorCode ?? -1))
      }
    } catch (error) {
      for (const [writer, batch] of batches) fail(writer, batch, toError(error))
    } finally {
      requestsInFlight.set(node, (requestsInFlight.get(node) ?? 1) - 1)
      schedule()
    }
  }

  function fail(writer: PartitionWriter, batch: Batch, error: Error): void {
    const repair = writer.failed(batch, error)
    if (repair === undefined) return
    if (repair.action === 'split') {
      writer.split(repair.bytes)
      return
    }
    if (repair.action === 'refuse')
      void mend(writer, async () => writer.refuse(await explain(writer.topic, batch, repair.error)))
    else void mend(writer, async () => retryOrRefuse(writer, repair.error))
  }

  async function retryOrRefuse(writer: PartitionWriter, error: Error): Promise<void> {
    const { topic } = writer
    if (typeOf(error) !== 'UNKNOWN_TOPIC_OR_PARTITION') return writer.retry()
    const since = unknownSince.get(writer) ?? performance.now()
    unknownSince.set(writer, since)
    if (performance.now() - since < unknownTopicForMs) return writer.retry()
    unknownSince.delete(writer)
    topics.forget(topic)
    writer.refuse(unknownTopic(topic, await visibleTopics(cluster), `publish to ${topic}`, { cause: error }))
  }

  async function explain(topic: string, batch: Batch, error: Error): Promise<EvtError> {
    if (!/TOO_LARGE/.test(typeOf(error) ?? '')) return translate(error, `publish to ${topic}`)
    const limit = await describeTopic(cluster, topic).catch(() => undefined)
    return tooLarge(topic, batch.bytes.length, Number(limit?.get('max.message.bytes')) || undefined)
  }

  /** Nothing of the writer is sent meanwhile. What is known of its topic may be old. */
  async function mend(writer: PartitionWriter, work: () => Promise<void>): Promise<void> {
    if (repairing.has(writer)) return
    repairing.add(writer)
    await pause(retryPauseMs, cluster.closing)
    await cluster.refresh([writer.topic]).catch(() => {})
    await work()
    writer.prune()
    repairing.delete(writer)
    if (!cluster.closing.aborted) schedule()
  }

  async function publish(
    topic: string,
    batch: readonly Outgoing[],
    signal: AbortSignal,
  ): Promise<readonly Published[]> {
    const { partitions } = await topics.find(topic, signal)
    await persist(AbortSignal.any([signal, cluster.closing]), currentProducerId)
    const results = new Array<Published>(batch.length)
    const done = Promise.withResolvers<void>()
    const orders = new Set<OpenOrder>()
    const items = new Map<PartitionWriter, { readonly order: OpenOrder; readonly own: Item[] }>()
    const contents = encodeOutgoing(batch)
    for (const [index, { message, partition = choosePartition(message, partitions.length) }] of batch.entries()) {
      const writer = writerOf(topic, partition)
      const known = items.get(writer) ?? { order: openOrder(), own: [] }
      items.set(writer, known)
      known.own.push({ content: contents[index] as Uint8Array, order: known.order, index })
    }

    function openOrder(): OpenOrder {
      const settled = () => {
        orders.delete(order)
        if (orders.size === 0) done.resolve()
      }
      const order = createOrder(results, settled)
      orders.add(order)
      return order
    }

    const interrupt = (error: EvtError) => {
      for (const order of orders) order.end({ state: 'unknown', error })
    }
    const onAbort = () => interrupt(new EvtError('interrupted', `cannot publish to ${topic}: aborted`))
    const onClose = () => interrupt(new EvtError('closed', `cannot publish to ${topic}: the transport was closed`))
    const late = () =>
      interrupt(
        new EvtError('timeout', `cannot publish to ${topic}: not confirmed within ${deliverWithinMs / 1000} s`, {
          hint: 'are enough brokers up? it may be stored all the same',
        }),
      )
    const deadline = setTimeout(late, deliverWithinMs)
    signal.addEventListener('abort', onAbort, { once: true })
    cluster.closing.addEventListener('abort', onClose, { once: true })
    for (const [writer, { order, own }] of items) {
      order.expect(own.map(({ index }) => index))
      const tooBig = own.find(({ content }) => content.length > hopelessBytes)
      if (tooBig !== undefined)
        tooBig.order.failed(tooBig.index, {
          state: 'refused',
          error: tooLarge(topic, tooBig.content.length, undefined),
        })
      writer.push(own)
      busy.add(writer)
    }
    if (signal.aborted) onAbort()
    schedule()
    try {
      await done.promise
      return results
    } finally {
      clearTimeout(deadline)
      signal.removeEventListener('abort', onAbort)
      cluster.closing.removeEventListener('abort', onClose)
      for (const writer of items.keys()) writer.prune()
    }
  }

  return { publish }
}
