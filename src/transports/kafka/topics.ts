import { setTimeout as delay } from 'node:timers/promises'
import type { Difference, TopicSpec } from '../transport.ts'
import { type Cluster, persist } from './cluster.ts'
import { brokerError, translate } from './errors.ts'
import type { TopicInfo } from './metadata.ts'
import { kafkaCall } from './protocol.ts'

const wantedReplicas = 3
/** Kafka's own 1 MiB is too little for an event of 1 MiB with its headers. */
const maxMessageBytes = 4 * 1024 * 1024
const readyWithinMs = 10_000

/** Names of what this user sees, without Kafka's own. */
export async function visibleTopics(cluster: Cluster): Promise<readonly string[]> {
  const all = await cluster.refresh('all').catch(() => undefined)
  return [...(all?.values() ?? [])].filter(({ isInternal }) => !isInternal).map(({ name }) => name)
}

export async function ensureTopics(
  cluster: Cluster,
  specs: readonly TopicSpec[],
  mode: 'check' | 'create',
): Promise<readonly Difference[]> {
  const names = specs.map(({ name }) => name)
  const found = await persist(cluster.closing, () => cluster.refresh(names)).catch((error: unknown) => {
    throw translate(error, `look at ${names.join(', ')}`)
  })
  const missing = specs.filter(({ name }) => !found.has(name))
  if (mode === 'create' && missing.length > 0) await createTopics(cluster, missing, {})
  const made = mode === 'create' && missing.length > 0 ? await cluster.refresh(names) : found
  return specs.flatMap((spec) => difference(spec, made.get(spec.name)))
}

function difference({ name, lanes }: TopicSpec, found: TopicInfo | undefined): readonly Difference[] {
  const script = `kafka-topics --create --topic ${name} --partitions ${lanes}`
  if (found === undefined) return [{ topic: name, problem: 'missing', remedy: `let evt make it, or: ${script}` }]
  const count = found.partitions.length
  if (count === lanes) return []
  const problem = `has ${count} partitions, and should have ${lanes}`
  return [
    { topic: name, problem, remedy: `set lanes to ${count}, or make a new topic: keys would move to other partitions` },
  ]
}

/** Three replicas where there are three brokers, two of them in sync; returns when every partition has a leader. */
export async function createTopics(
  cluster: Cluster,
  specs: readonly TopicSpec[],
  settings: Readonly<Record<string, string>>,
): Promise<void> {
  const replicationFactor = Math.min(wantedReplicas, (await cluster.brokers()).length)
  const all = {
    'max.message.bytes': String(maxMessageBytes),
    ...(replicationFactor === wantedReplicas && { 'min.insync.replicas': '2' }),
    ...settings,
  }
  const configEntries = Object.entries(all).map(([name, value]) => ({ name, value }))
  const topics = specs.map(({ name, lanes }) => ({
    topic: name,
    numPartitions: lanes,
    replicationFactor,
    configEntries,
  }))
  await persist(cluster.closing, async () => {
    const { topicErrors } = await cluster.ask('any', (versions) =>
      kafkaCall(versions, 'CreateTopics', { topics, validateOnly: false, timeout: 5_000 }),
    )
    for (const { topic, errorCode, errorMessage } of topicErrors) {
      if (errorCode === 0) continue
      const error = brokerError(errorCode)
      if (error.type === 'TOPIC_ALREADY_EXISTS') continue
      if (errorMessage) error.message = errorMessage
      throw error.retriable ? error : translate(error, `make topic ${topic}`)
    }
  })
  await untilLed(cluster, specs)
}

async function untilLed(cluster: Cluster, specs: readonly TopicSpec[]): Promise<void> {
  const deadline = performance.now() + readyWithinMs
  for (;;) {
    const found = await cluster.refresh(specs.map(({ name }) => name))
    const isLed = ({ name }: TopicSpec) => found.get(name)?.partitions.every(({ leader }) => leader >= 0) === true
    if (specs.every(isLed) || performance.now() > deadline) return
    await delay(20)
  }
}
