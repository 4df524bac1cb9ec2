// Transport memory: topics in this process. The executable reference of the contract: what a promise means is what this does.
import { EvtError } from '../../core/errors.ts'
import { createHandover } from '../handover.ts'
import { nothingPromised } from '../nothing-promised.ts'
import type { Capabilities, Lane, LaneOptions, Transport } from '../transport.ts'
import { type Broker, type BrokerOptions, createBroker } from './broker.ts'
import { createMemoryDeadLetters } from './dead-letters.ts'
import type { Group, Member } from './group.ts'
import { inspectMemory } from './inspect.ts'
import type { MemoryLane } from './lane.ts'
import { openMemoryLog } from './log.ts'
import { observeMemory } from './observe.ts'

export const memoryCapabilities: Capabilities = {
  ...nothingPromised,
  order: 'per-key',
  history: true,
  deduplicates: true,
  shared: true,
  marksStarted: true,
  seeks: ['start', 'time', 'position'],
  ownMark: true,
  deadLetters: true,
  removes: true,
}

export interface MemoryTransport extends Transport {
  /** As if this process had been killed: for tests of what runs over a transport. Nothing is released. */
  die(): void
}

const brokers = new Map<string, Broker>()

/**
 * `memory://name/topic?retain=1000&limit=5000`: transports of one name share their topics, for as long as the process lives;
 * without a name each has its own.
 */
export function openMemory(url: string): MemoryTransport {
  const { name, named, options } = parseMemoryUrl(url)
  if (name === '') return createMemoryTransport(createBroker(options), named)
  const broker = brokers.get(name) ?? createBroker(options)
  brokers.set(name, broker)
  return createMemoryTransport(broker, named)
}

/** Throws `usage`. */
export function parseMemoryUrl(url: string) {
  const { hostname: name, pathname, searchParams } = new URL(url)
  const named = pathname.length > 1 ? [decodeURIComponent(pathname.slice(1))] : []
  return { name, named, options: { ...count(searchParams, 'retain'), ...count(searchParams, 'limit') } }
}

function count(params: URLSearchParams, name: keyof BrokerOptions): BrokerOptions {
  const text = params.get(name)
  if (text === null) return {}
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1) return { [name]: value }
  throw new EvtError('usage', `cannot open memory: ?${name}=${text} is not a whole number above 0`)
}

export function createMemoryTransport(broker: Broker = createBroker(), named: readonly string[] = []): MemoryTransport {
  const closing = new AbortController()
  const joined = new Map<Member, Group>()
  const owned = new Set<MemoryLane>()

  async function* lanes(topics: readonly string[], name: string, options: LaneOptions): AsyncGenerator<Lane> {
    assertOpen()
    const found = createHandover<MemoryLane>()
    const members: [Group, Member][] = topics.map((topicName) => {
      const topic = broker.topic(topicName)
      const group = broker.group(topic, name, options)
      const member = group.join(options, (lane) => {
        owned.add(lane)
        lane.lost.addEventListener('abort', () => owned.delete(lane), { once: true })
        found.offer(lane)
      })
      return [group, member]
    })
    for (const [group, member] of members) joined.set(member, group)
    const leave = () => {
      for (const [group, member] of members) if (joined.delete(member)) group.leave(member)
    }
    const signal = AbortSignal.any([options.signal, closing.signal])
    // At once: what is released while the iteration winds up must not come back to this member.
    signal.addEventListener('abort', leave, { once: true })
    try {
      yield* found.iterate(signal)
    } finally {
      leave()
      await Promise.all(found.left().map((lane) => lane.release()))
    }
  }

  function assertOpen(): void {
    if (closing.signal.aborted) throw new EvtError('closed', 'cannot use the memory transport: it was closed')
  }

  return {
    name: 'memory',
    capabilities: memoryCapabilities,
    named,
    observes: 'in this process',
    deadLetters: createMemoryDeadLetters(broker, broker.graves),
    lanes,
    async ensure(topics, mode) {
      const missing = topics.filter((topic) => !broker.exists(topic.name))
      if (mode === 'create') for (const topic of missing) broker.topic(topic.name)
      const remedy = 'it is made by the first publish'
      return mode === 'create' ? [] : missing.map(({ name }) => ({ topic: name, problem: 'missing', remedy }))
    },
    async publish(topicName, batch, signal) {
      assertOpen()
      if (signal.aborted) return batch.map(() => ({ state: 'unknown', error: interrupted(topicName) }))
      const topic = broker.topic(topicName)
      const timeMs = Date.now()
      return batch.map((message) => broker.publish(topic, message, timeMs))
    },
    observe(selector, options) {
      assertOpen()
      const signal = AbortSignal.any([options.signal, closing.signal])
      return observeMemory(selector.topics.map(broker.topic), selector, { ...options, signal })
    },
    async openLog(topicName, epoch) {
      assertOpen()
      return openMemoryLog(broker, broker.topic(topicName), epoch)
    },
    async remove(topics) {
      for (const topic of topics) broker.remove(topic)
    },
    inspect: async (topics) => inspectMemory(broker, topics, Date.now()),
    async close() {
      closing.abort()
      await Promise.all([...owned].map((lane) => lane.release()))
    },
    die() {
      closing.abort()
      for (const lane of owned) lane.die()
    },
  }
}

function interrupted(topic: string): EvtError {
  return new EvtError('interrupted', `cannot publish to ${topic}: aborted`)
}
