import { EvtError } from '../../core/errors.ts'
import { type Cluster, persist } from './cluster.ts'
import { brokerError, typeOf, unknownTopic } from './errors.ts'
import type { TopicInfo } from './metadata.ts'
import { visibleTopics } from './topics.ts'

/** So long may a topic be unknown that was there a moment ago: it was just made, or the broker just started. */
export const unknownTopicForMs = 2_000

/** Topics that are written to, and how many partitions each had when that began. */
export interface PublishedTopics {
  /** Throws when the topic is not there or has another number of partitions than it had. */
  find(name: string, signal: AbortSignal): Promise<TopicInfo>
  /** It is gone: what comes back is another. */
  forget(name: string): void
}

export function createPublishedTopics(cluster: Cluster): PublishedTopics {
  const counts = new Map<string, number>()

  async function find(name: string, signal: AbortSignal): Promise<TopicInfo> {
    const known = cluster.known(name)
    if (known !== undefined && counts.has(name)) return checked(known)
    const waited = AbortSignal.any([signal, cluster.closing])
    const found = await persist(
      waited,
      async () => {
        const topic = (await cluster.refresh([name])).get(name)
        if (topic === undefined || topic.partitions.length === 0) throw brokerError(3)
        return topic
      },
      undefined,
      unknownTopicForMs,
    ).catch(async (error: unknown) => {
      if (typeOf(error) !== 'UNKNOWN_TOPIC_OR_PARTITION') throw error
      throw unknownTopic(name, await visibleTopics(cluster), `publish to ${name}`)
    })
    return checked(found)
  }

  function checked(topic: TopicInfo): TopicInfo {
    const { name, partitions } = topic
    const before = counts.get(name) ?? partitions.length
    const isAnswered = cluster.options.partitions === partitions.length
    if (before !== partitions.length && !isAnswered) throw partitionsChanged(name, before, partitions.length)
    counts.set(name, partitions.length)
    return topic
  }

  return { find, forget: (name) => void counts.delete(name) }
}

function partitionsChanged(topic: string, before: number, now: number): EvtError {
  return new EvtError('refused', `cannot publish to ${topic}: it has ${now} partitions, and had ${before}`, {
    hint: `keys moved to other partitions: let all groups drain what was published before, then open it with ?partitions=${now}`,
  })
}
