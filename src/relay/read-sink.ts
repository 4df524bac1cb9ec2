import { EvtError } from '../core/errors.ts'
import { planTopics, type TopicPlan } from '../core/layout.ts'
import { redactUrl } from '../core/mask.ts'
import type { Store } from '../store/connection.ts'
import { readStoreId } from '../store/identity.ts'
import { createLogReader } from '../store/log.ts'
import type { Lane, Received, Transport, TransportOptions } from '../transports/transport.ts'
import { createEncoder, logIdOf, timesHeader } from './encode.ts'
import { pageSize } from './log-pages.ts'
import type { SinkConfig } from './sink-config.ts'

/** A sink as handlers read it. */
export interface SinkReading {
  readonly transport: Transport
  /** The server and the topics that the sink's name stands for; without a password. */
  readonly target: string
  /** Which log the positions of its messages are of. */
  readonly logId: string
  /** The topics of a handler that wants these types, `known` among them. Throws `config` when nobody can say. */
  topicsOf(wanted: Wanted, known: readonly string[]): readonly string[]
  close(): Promise<void>
}

export interface Wanted {
  readonly name: string
  readonly patterns: readonly string[]
  /** Every type that can match, where the patterns say so. */
  readonly types: readonly string[] | undefined
  matches(type: string): boolean
}

export interface ReadSinkOptions {
  readonly store: Store
  readonly config: SinkConfig
  open(options: Pick<TransportOptions, 'readLog'>): Promise<Transport>
}

/** Connects to the sink; what its broker lost is fetched from the log. Throws as `open`, and `config` for what handlers cannot read. */
export async function openSinkForHandlers({ store, config, open }: ReadSinkOptions): Promise<SinkReading> {
  if (config.dialect !== undefined && config.dialect !== 'cloudevents')
    throw new EvtError(
      'config',
      `cannot read sink ${config.name}: handlers read CloudEvents, it has ${config.dialect}`,
      {
        hint: 'let handlers read the log, or a sink without `dialect`',
      },
    )
  if (config.rename !== undefined)
    throw new EvtError('config', `cannot read sink ${config.name}: its types have other names there`, {
      hint: 'let handlers read the log, or a sink without `rename`',
    })
  const reader = createLogReader(store)
  const storeId = await readStoreId(store)
  const encode = createEncoder({ dialect: undefined, storeId, sink: config.name, content: 'bytes' })

  async function* readLog(after: bigint, through: bigint) {
    for (let from = after; from < through; ) {
      const left = through - from
      const page = await reader.read(from, left < pageSize ? Number(left) : pageSize)
      const last = page.at(-1)?.position
      if (last === undefined) return
      yield page.filter((entry) => entry.position <= through && config.wanted.matches(entry.type)).map(encode)
      from = last
    }
  }

  const transport = await open({ readLog }).catch(async (error: unknown) => {
    await reader.close()
    throw error
  })
  const plan = planTopics({ ...config, topic: config.topic ?? transport.named[0], separator: transport.separator })
  return {
    transport: forHandlers(transport, plan.lanes),
    target: [redactUrl(config.url), config.layout, config.topic, config.prefix].filter(Boolean).join(' '),
    logId: logIdOf(storeId, config.name),
    topicsOf: (wanted, known) => plan.fixed ?? topicsByType(plan, config, wanted, known),
    close: async () => {
      await transport.close()
      await reader.close()
    },
  }
}

function topicsByType(plan: TopicPlan, config: SinkConfig, wanted: Wanted, known: readonly string[]): string[] {
  const types = wanted.types ?? known.filter((type) => wanted.matches(type))
  const topics = types.filter((type) => config.wanted.matches(type)).map(plan.topicOf)
  if (topics.length > 0) return topics
  throw new EvtError(
    'config',
    `cannot read sink ${config.name}: it has a topic for each type, and no contract says which types ${wanted.name} wants`,
    { hint: 'name the types in `on`, add their contracts, or use layout shards' },
  )
}

/**
 * Topics are there before a group is: a group on what is no topic of ours yet would be a foreign one. The times of the store stand in
 * place of the broker's: from commit to effect is what counts.
 */
function forHandlers(transport: Transport, laneCount: number): Transport {
  const lanes = transport.lanes?.bind(transport)
  const join = transport.join?.bind(transport)
  if (!lanes) return transport
  return Object.defineProperties(
    {
      async *lanes(...given: Parameters<typeof lanes>) {
        const [topics] = given
        await makeTopics(transport, topics, laneCount)
        for await (const lane of lanes(...given)) yield timedLane(lane)
      },
      async join(...given: Parameters<typeof lanes>) {
        await makeTopics(transport, given[0], laneCount)
        await join?.(...given)
      },
    },
    Object.fromEntries(
      Object.entries(Object.getOwnPropertyDescriptors(transport)).filter(
        ([name]) => name !== 'lanes' && name !== 'join',
      ),
    ),
  ) as unknown as Transport
}

/** Throws `conflict` for a topic that is there and is another one. */
export async function makeTopics(transport: Transport, names: readonly string[], lanes: number): Promise<void> {
  const [wrong] = await transport.ensure(
    names.map((name) => ({ name, lanes })),
    'create',
  )
  if (!wrong) return
  throw new EvtError('conflict', `cannot use topic ${wrong.topic}: ${wrong.problem}`, { hint: wrong.remedy })
}

function timedLane(lane: Lane): Lane {
  return {
    id: lane.id,
    epoch: lane.epoch,
    lost: lane.lost,
    take: async (max, signal) => (await lane.take(max, signal)).map(timed),
    settle: (done) => lane.settle(done),
    release: () => lane.release(),
  }
}

/** Changed in place: transports know their messages again by what they handed out. */
function timed(message: Received): Received {
  const times = message.headers[timesHeader]
  if (times === undefined) return message
  const [recorded, sequenced] = times.split('/').map(Number)
  if (!Number.isFinite(recorded) || !Number.isFinite(sequenced)) return message
  return Object.assign(message, { timeMs: recorded, sequencedMs: sequenced })
}
