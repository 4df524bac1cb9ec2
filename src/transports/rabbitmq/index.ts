// Transport rabbitmq: topics as exchanges, lanes as quorum queues with a single active consumer. AMQP 0-9-1; RabbitMQ 3.10 and later.
import { createHandover } from '../handover.ts'
import type { Capabilities, Lane, LaneOptions, ServerProblem, Transport, TransportOptions } from '../transport.ts'
import { isStreamQueue } from './burial.ts'
import { createConfirms } from './confirms.ts'
import { createRabbitDeadLetters } from './dead-letters.ts'
import { footprintOf, inspectRabbit } from './inspect.ts'
import type { RabbitLane } from './lane.ts'
import { joinGroup, makeGroup } from './member.ts'
import { observeRabbit } from './observe.ts'
import { parseRabbitUrl } from './options.ts'
import { createPublish } from './publish.ts'
import { removeTopics } from './remove.ts'
import { createSender } from './sender.ts'
import { isAtLeast } from './server-version.ts'
import { closed, createSession } from './session.ts'
import { createStartedMarks } from './started.ts'
import { createTopics } from './topics.ts'

export const rabbitCapabilities: Capabilities = {
  order: 'per-key',
  durable: true,
  history: false,
  deduplicates: false,
  transactional: false,
  shared: true,
  marksStarted: true,
  content: 'bytes',
  seeks: [],
  ownMark: false,
  deadLetters: true,
  removes: true,
}

/** A stream queue that the URL names is read from anywhere. */
const streamCapabilities: Capabilities = { ...rabbitCapabilities, history: true, seeks: ['start', 'time', 'position'] }

/** Connects, so that a wrong URL is told at once. Throws `usage`, `connect`. */
export async function openRabbit(url: string, { onProblem = () => {} }: TransportOptions = {}): Promise<Transport> {
  const options = parseRabbitUrl(url)
  const session = createSession(options)
  const link = await session.link('read')
  const isStream = options.queue !== undefined && (await isStreamQueue(link, options.queue))
  const topics = createTopics(session)
  const sender = createSender(session, topics, createConfirms(session))
  const marks = createStartedMarks(session)
  const owned = new Map<RabbitLane, { readonly topic: string; readonly group: string }>()
  const inspecting = {
    session,
    topics,
    *owned() {
      for (const [lane, { topic, group }] of owned) yield { topic, group, held: lane.held }
    },
  }

  async function* lanes(names: readonly string[], group: string, laneOptions: LaneOptions): AsyncGenerator<Lane> {
    if (session.closing.aborted) throw closed(options)
    const found = createHandover<RabbitLane>()
    const ended = new AbortController()
    const signal = AbortSignal.any([laneOptions.signal, session.closing, ended.signal])
    let failure: unknown
    const members = names.map((topic) =>
      joinGroup({
        session,
        topics,
        marks,
        topic,
        group,
        options: laneOptions,
        signal,
        onProblem,
        offer(lane) {
          owned.set(lane, { topic, group })
          lane.lost.addEventListener('abort', () => owned.delete(lane), { once: true })
          found.offer(lane)
        },
      }).catch((error: unknown) => {
        failure ??= error
        ended.abort()
      }),
    )
    try {
      yield* found.iterate(signal)
      if (failure !== undefined) throw failure
    } finally {
      ended.abort()
      await Promise.all(found.left().map((lane) => lane.release()))
      await Promise.all(members)
    }
  }

  return {
    name: 'rabbitmq',
    capabilities: isStream ? streamCapabilities : rabbitCapabilities,
    named: [options.exchange ?? options.queue].filter((name) => name !== undefined),
    observes: isStream ? 'stream consumer, by offset' : 'private exclusive queue, gone with the connection',
    checkServer: async () => problemsOf((await session.link('read')).server.version),
    ensure: (specs, mode) => topics.ensure(specs, mode),
    publish: createPublish(session, topics, sender),
    deadLetters: createRabbitDeadLetters({ session, topics, sender }),
    lanes,
    async join(names, group, laneOptions) {
      for (const topic of names) await makeGroup({ session, topics, topic, group, options: laneOptions })
    },
    observe: (selector, observeOptions) => observeRabbit({ session, topics, onProblem }, selector, observeOptions),
    inspect: (names) => inspectRabbit(inspecting, names),
    async about() {
      const { product, version } = (await session.link('read')).server
      return `${product} ${version}`
    },
    async remove(names) {
      await removeTopics(session, names)
      for (const name of names) topics.disown(name)
    },
    footprint: (names) => footprintOf(inspecting, names),
    async close() {
      // No lane is claimed any more, and those in hand go to other members before the connection ends.
      session.stop()
      await Promise.all([...owned.keys()].map((lane) => lane.release()))
      await session.close()
    },
  }
}

function problemsOf(version: string): readonly ServerProblem[] {
  if (isAtLeast(version, 3, 10)) return []
  return [
    {
      problem: `RabbitMQ ${version} dead-letters at most once: what it gives up may be lost`,
      remedy: 'run 3.10 or later',
    },
  ]
}
