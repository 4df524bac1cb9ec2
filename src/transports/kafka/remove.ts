import { type Cluster, pause, persist } from './cluster.ts'
import { nameOfGrave, nameOfMarks } from './dead-letters.ts'
import { brokerError, translate } from './errors.ts'
import { consumerGroups } from './inspect.ts'
import { fetchCommitted } from './offsets.ts'
import { kafkaCall } from './protocol.ts'

const goneWithinMs = 10_000

/** With their dead letters, and with the groups that read nothing else and have no members. */
export async function removeTopics(cluster: Cluster, topics: readonly string[]): Promise<void> {
  const names = topics.flatMap((topic) => [topic, nameOfGrave(topic), nameOfMarks(nameOfGrave(topic))])
  try {
    await persist(cluster.closing, async () => {
      const found = [...(await cluster.refresh(names)).keys()]
      if (found.length === 0) return
      await removeGroups(cluster, new Set(names))
      await deleteTopics(cluster, found)
    })
  } catch (error) {
    throw translate(error, `remove ${topics.join(', ')}`)
  }
}

async function deleteTopics(cluster: Cluster, names: readonly string[]): Promise<void> {
  const call = { topics: names, timeout: 5_000 }
  const { topicErrors } = await cluster.ask('any', (versions) => kafkaCall(versions, 'DeleteTopics', call))
  for (const { errorCode } of topicErrors) {
    const error = errorCode === 0 ? undefined : brokerError(errorCode)
    if (error !== undefined && error.type !== 'UNKNOWN_TOPIC_OR_PARTITION') throw error
  }
  const deadline = performance.now() + goneWithinMs
  while ((await cluster.refresh(names)).size > 0 && performance.now() < deadline) await pause(20, cluster.closing)
}

async function removeGroups(cluster: Cluster, names: ReadonlySet<string>): Promise<void> {
  for (const { group, members } of await consumerGroups(cluster)) {
    const keys = members.length > 0 ? [] : [...(await fetchCommitted(cluster, group, [])).keys()]
    const isOurs = keys.length > 0 && keys.every((key) => names.has(key.slice(0, key.lastIndexOf('/'))))
    // A member that came meanwhile keeps its group.
    if (isOurs)
      await cluster.askCoordinator(group, (versions) => kafkaCall(versions, 'DeleteGroups', [group])).catch(() => {})
  }
}
