// Transport redis: a stream a lane, bookkeeping of our own beside it, scripts that check and write at once. Streams of others are
// read with plain groups, Pub/Sub is only observed.
import { EvtError } from '../../core/errors.ts'
import type { Capabilities, Transport, TransportOptions } from '../transport.ts'
import { openAppender } from './append.ts'
import { type AskedNode, askHello, checkServer } from './check-server.ts'
import { connectRedis } from './connect.ts'
import type { RedisContext } from './context.ts'
import { createDeadLetters } from './dead-letters.ts'
import { footprintOf } from './footprint.ts'
import { closeForeignLanes } from './foreign.ts'
import { inspectRedis } from './inspect.ts'
import { createLanes } from './lanes.ts'
import { observeStreams } from './observe.ts'
import { parseRedisUrl } from './options.ts'
import { createPublisher } from './publish.ts'
import { observeChannels } from './pubsub.ts'
import { removeTopics } from './remove.ts'
import { createTopics } from './topic.ts'
import { createTrimmer } from './trim.ts'

export const redisCapabilities: Capabilities = {
  order: 'per-key',
  durable: true,
  history: true,
  deduplicates: true,
  transactional: false,
  shared: true,
  marksStarted: true,
  content: 'bytes',
  seeks: ['start', 'time', 'position'],
  ownMark: true,
  deadLetters: true,
  removes: true,
}

/** Pub/Sub: what nobody hears is gone. */
const channelCapabilities: Capabilities = {
  ...redisCapabilities,
  order: 'none',
  durable: false,
  history: false,
  deduplicates: false,
  shared: false,
  marksStarted: false,
  seeks: [],
  ownMark: false,
  deadLetters: false,
  removes: false,
}

/** Throws `usage` for what the URL says, `connect` when the server does not answer within 5 s or refuses us, `unsupported` below Redis 7.0. */
export async function openRedis(url: string, transportOptions: TransportOptions = {}): Promise<Transport> {
  const options = parseRedisUrl(url)
  const connections = await connectRedis(options)
  const closing = new AbortController()
  const topics = createTopics(connections, options.place)
  const trimmer = createTrimmer(connections, options)
  const context: RedisContext = { ...transportOptions, options, connections, topics, trimmer, closing: closing.signal }
  const end = async (release: () => Promise<void>) => {
    closing.abort()
    await release()
    trimmer.close()
    connections.close()
  }
  return options.channels.length > 0 ? channelTransport(context, end) : streamTransport(context, end)
}

type End = (release: () => Promise<void>) => Promise<void>

function streamTransport(context: RedisContext, end: End): Transport {
  const { connections, options, topics } = context
  const publish = createPublisher(context)
  const members = createLanes(context)
  let closed: Promise<void> | undefined
  const assertOpen = () => assertNotClosed(context)
  return {
    name: 'redis',
    capabilities: redisCapabilities,
    named: options.streams,
    separator: ':',
    observes: 'XRANGE and XREAD, no group',
    checkServer: () => checkServer(connections.masters() as readonly AskedNode[]),
    async ensure(specs, mode) {
      assertOpen()
      return topics.ensure(specs, mode)
    },
    async publish(topic, batch, signal) {
      assertOpen()
      return publish(topic, batch, signal)
    },
    async *lanes(names, group, laneOptions) {
      assertOpen()
      yield* members.lanes(names, group, laneOptions)
    },
    async *observe(selector, observeOptions) {
      assertOpen()
      const signal = AbortSignal.any([observeOptions.signal, context.closing])
      yield* observeStreams(context, selector, { ...observeOptions, signal })
    },
    async inspect(names) {
      assertOpen()
      return inspectRedis(context, names)
    },
    async about() {
      const [hello] = await Promise.all(
        connections
          .masters()
          .slice(0, 1)
          .map((node) => askHello(node as AskedNode)),
      )
      return `Redis ${hello?.version ?? ''}`.trim()
    },
    async remove(names) {
      assertOpen()
      await removeTopics(context, names)
    },
    footprint: (names) => footprintOf(context, names),
    async openLog(topic, epoch) {
      assertOpen()
      return openAppender(context, topic, epoch)
    },
    ...deadLettersOf(context),
    close() {
      closed ??= end(async () => void (await Promise.all([members.close(), closeForeignLanes(context)])))
      return closed
    },
  }
}

function deadLettersOf(context: RedisContext): Pick<Transport, 'deadLetters'> {
  const deadLetters = createDeadLetters(context)
  return deadLetters === undefined ? {} : { deadLetters }
}

function channelTransport(context: RedisContext, end: End): Transport {
  const { connections, options } = context
  let closed: Promise<void> | undefined
  return {
    name: 'redis',
    capabilities: channelCapabilities,
    named: options.channels,
    observes: 'SUBSCRIBE and PSUBSCRIBE, at most once',
    checkServer: () => checkServer(connections.masters() as readonly AskedNode[]),
    ensure: async () => [],
    async publish(topic, batch, signal) {
      assertNotClosed(context)
      const error = new EvtError(
        signal.aborted ? 'interrupted' : 'unsupported',
        `cannot publish to ${topic}: channels are only observed`,
        { hint: 'publish to a stream; ?broadcast=PREFIX puts it on a channel too' },
      )
      return batch.map(() => ({ state: signal.aborted ? 'unknown' : 'refused', error }))
    },
    async *observe(selector, observeOptions) {
      assertNotClosed(context)
      const signal = AbortSignal.any([observeOptions.signal, context.closing])
      yield* observeChannels(context, selector, { ...observeOptions, signal })
    },
    inspect: async () => ({ topics: [], groups: [] }),
    footprint: (names) => footprintOf(context, names),
    close() {
      closed ??= end(async () => {})
      return closed
    },
  }
}

function assertNotClosed({ closing, options }: RedisContext): void {
  if (closing.aborted) throw new EvtError('closed', `cannot use ${options.place.url}: the transport was closed`)
}
