// Transport kafka: lanes are partitions. Knows Kafka's protocol and nothing of events but their headers' names.
import { EvtError } from '../../core/errors.ts'
import type { Capabilities, Published, Transport, TransportOptions } from '../transport.ts'
import { aboutKafka } from './about.ts'
import { openCluster } from './cluster.ts'
import { createDeadLetters } from './dead-letters.ts'
import { isOutage, translate } from './errors.ts'
import { createGroups } from './groups.ts'
import { checkKafka, footprintKafka, inspectKafka } from './inspect.ts'
import { observeKafka } from './observe.ts'
import { parseKafkaUrl } from './options.ts'
import type { Outgoing } from './outgoing.ts'
import { createProducer } from './producer.ts'
import { removeTopics } from './remove.ts'
import { ensureTopics } from './topics.ts'

export const kafkaCapabilities: Capabilities = {
  order: 'per-key',
  durable: true,
  history: true,
  deduplicates: false,
  transactional: false,
  shared: true,
  marksStarted: true,
  content: 'bytes',
  seeks: ['start', 'time', 'position'],
  ownMark: false,
  deadLetters: true,
  removes: true,
}

/** Connects. Throws `usage`, `config`, `connect`, `timeout`. */
export async function openKafka(url: string, { onProblem }: TransportOptions = {}): Promise<Transport> {
  const options = parseKafkaUrl(url)
  const cluster = await openCluster(options)
  const producer = createProducer(cluster)
  const groups = createGroups(cluster, onProblem)

  function assertOpen(): void {
    if (cluster.closing.aborted) throw new EvtError('closed', 'cannot use the kafka transport: it was closed')
  }

  /** What is thrown before anything was sent is the result of all. */
  async function publish(
    topic: string,
    batch: readonly Outgoing[],
    signal: AbortSignal,
  ): Promise<readonly Published[]> {
    assertOpen()
    if (batch.length === 0) return []
    try {
      return await producer.publish(topic, batch, signal)
    } catch (thrown) {
      const aborted = new EvtError('interrupted', `cannot publish to ${topic}: aborted`)
      const error = signal.aborted ? aborted : translate(thrown, `publish to ${topic}`)
      const isOpen = signal.aborted || cluster.closing.aborted || isOutage(thrown)
      return batch.map(() => ({ state: isOpen ? 'unknown' : 'refused', error }))
    }
  }

  return {
    name: 'kafka',
    capabilities: kafkaCapabilities,
    named: options.topics,
    observes: 'fetch, no group',
    async ensure(topics, mode) {
      assertOpen()
      return ensureTopics(cluster, topics, mode)
    },
    publish: (topic, batch, signal) =>
      publish(
        topic,
        batch.map((message) => ({ message })),
        signal,
      ),
    lanes(topics, group, laneOptions) {
      assertOpen()
      return groups.lanes(topics, group, laneOptions)
    },
    observe(selector, observeOptions) {
      assertOpen()
      return observeKafka(cluster, selector, { ...observeOptions, onProblem: (error) => onProblem?.(error) })
    },
    async inspect(topics) {
      assertOpen()
      return inspectKafka(cluster, topics)
    },
    async about() {
      assertOpen()
      return aboutKafka(cluster)
    },
    async remove(topics) {
      assertOpen()
      return removeTopics(cluster, topics)
    },
    async footprint(topics) {
      assertOpen()
      return footprintKafka(cluster, topics)
    },
    async checkServer() {
      assertOpen()
      return checkKafka(cluster, options.topics)
    },
    deadLetters: createDeadLetters({ cluster, publish }),
    async close() {
      await groups.close()
      cluster.close()
    },
  }
}
