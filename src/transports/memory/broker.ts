import { EvtError } from '../../core/errors.ts'
import type { LaneOptions, Message, Published } from '../transport.ts'
import type { Graves } from './dead-letters.ts'
import { createGroup, type Group } from './group.ts'
import { createTopic, type Stored, type Topic } from './topic.ts'

export interface BrokerOptions {
  /** Messages a topic keeps after every group has settled them. Default 100,000. */
  readonly retain?: number
  /** Messages a topic may hold because a group is slow; more are refused. Default 1,000,000. */
  readonly limit?: number
}

/** What several memory transports of one process share: topics and their groups. */
export interface Broker {
  topic(name: string): Topic
  topics(): readonly Topic[]
  exists(name: string): boolean
  group(topic: Topic, name: string, options: LaneOptions): Group
  groups(topic: Topic): ReadonlyMap<string, Group>
  publish(topic: Topic, message: Message, timeMs: number): Published
  /** Also what it stored before. */
  republish(topic: Topic, message: Message, timeMs: number): Published
  readonly graves: Graves
  remove(topic: string): void
}

export function createBroker({ retain = 100_000, limit = 1_000_000 }: BrokerOptions = {}): Broker {
  const topics = new Map<string, Topic>()
  const graves: Graves = new Map()
  const groups = new Map<string, Map<string, Group>>()

  const groupsOf = (topic: Topic) => groups.get(topic.name) ?? new Map<string, Group>()

  function makeRoom(topic: Topic): boolean {
    if (topic.count < retain) return true
    let settledTo = topic.head
    for (const group of groupsOf(topic).values()) if (group.settledTo < settledTo) settledTo = group.settledTo
    topic.trim(retain, settledTo)
    return topic.count < limit
  }

  function announce(topic: Topic, stored: Stored): void {
    for (const { shards } of groupsOf(topic).values()) shards[stored.slot % shards.length]?.owner?.wake()
    for (const bell of topic.observers) bell.ring()
  }

  function makeTopic(name: string): Topic {
    const made = createTopic(name)
    topics.set(name, made)
    groups.set(name, new Map())
    return made
  }

  function store(topic: Topic, message: Message, timeMs: number): Published {
    if (!makeRoom(topic)) return { state: 'refused', error: full(topic.name, limit) }
    const stored = topic.append(message, timeMs)
    announce(topic, stored)
    return { state: 'stored', at: String(stored.position) }
  }

  return {
    graves,
    topic: (name) => topics.get(name) ?? makeTopic(name),
    topics: () => [...topics.values()],
    exists: (name) => topics.has(name),
    groups: groupsOf,
    group(topic, name, options) {
      const known = groupsOf(topic).get(name)
      if (known !== undefined) return known
      const made = createGroup(topic, options.lanes, options.start === 'latest' ? topic.head : topic.oldest - 1n)
      groups.get(topic.name)?.set(name, made)
      return made
    },
    publish(topic, message, timeMs) {
      const known = topic.find(message.id)
      if (known !== undefined) return { state: 'duplicate', at: String(known) }
      return store(topic, message, timeMs)
    },
    republish: store,
    remove(name) {
      topics.delete(name)
      groups.delete(name)
      graves.delete(`${name}:dlq`)
    },
  }
}

function full(topic: string, limit: number): EvtError {
  return new EvtError(
    'refused',
    `cannot publish to ${topic}: it holds ${limit} messages that a group has not settled`,
    {
      hint: 'let the group catch up, or raise ?limit= of the memory URL',
    },
  )
}
