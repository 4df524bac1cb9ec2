import type { GroupState, Inspection } from '../transport.ts'
import type { Broker } from './broker.ts'
import type { Group } from './group.ts'
import type { Topic } from './topic.ts'

export function inspectMemory(broker: Broker, names: readonly string[], nowMs: number): Inspection {
  const topics = names.filter(broker.exists).map(broker.topic)
  return {
    topics: topics.map((topic) => {
      const lastTimeMs = topic.at(topic.head)?.timeMs
      const state = { topic: topic.name, messages: topic.count, head: String(topic.head) }
      return lastTimeMs === undefined ? state : { ...state, lastTimeMs }
    }),
    groups: topics.flatMap((topic) =>
      [...broker.groups(topic)].map(([name, group]) => groupState(topic, name, group, nowMs)),
    ),
  }
}

function groupState(topic: Topic, name: string, group: Group, nowMs: number): GroupState {
  const settledTo = group.settledTo
  const oldest = topic.at(settledTo + 1n)
  const state = { group: name, topic: topic.name, lagMessages: Number(topic.head - settledTo), members: group.members }
  return oldest === undefined ? state : { ...state, oldestAgeMs: Math.max(0, nowMs - oldest.timeMs) }
}
