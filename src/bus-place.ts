// Where the bus of the direct topology is: what its options, the environment or the project's configuration say.
import { resolve } from 'node:path'
import type { HandlingOptions } from './config/handling.ts'
import { EvtError } from './core/errors.ts'
import { type Layout, planTopics, type TopicPlan } from './core/layout.ts'
import type { PublishOptions } from './core/publish-options.ts'
import type { EventBusOptions } from './event-bus.ts'
import type { HandlerLog } from './handle/handler.ts'
import type { HandlerDefaults } from './handle/with-defaults.ts'
import type { Transport } from './transports/transport.ts'
import type { TracingOptions } from './watch/tracing/current.ts'

/** What of the options of a bus says where it is. */
export type PlaceOptions = Pick<
  EventBusOptions,
  'url' | 'env' | 'cwd' | 'group' | 'layout' | 'topic' | 'lanes' | 'tracing'
>

export interface Place {
  readonly url: string
  readonly group: string | undefined
  readonly layout: Layout | undefined
  readonly topic: string | undefined
  /** Of layout `per-type`. */
  readonly prefix: string | undefined
  /** What the configuration says where a handler says nothing: `EVENT_RETRY_ATTEMPTS`, `EVENT_TIMEOUT`. */
  readonly handling: HandlerDefaults
  /** What the configuration says of all handlers together. */
  readonly together: Partial<HandlingOptions>
  /** What the configuration says about publishing. */
  readonly publish: PublishOptions
  /** `EVENT_PROCESSING_ENABLED=false`: handlers are subscribed and wait. */
  readonly isPaused: boolean
  readonly tracing: boolean | TracingOptions | undefined
}

/** Throws `config` when neither says where. */
export async function placeOf(options: PlaceOptions, log: HandlerLog): Promise<Place> {
  const { url, env, group, layout, topic } = options
  const unsaid = { handling: {}, together: {}, publish: {}, isPaused: false, tracing: options.tracing }
  if (url !== undefined) return { url, group, layout, topic, prefix: topic, ...unsaid }
  if (env === undefined)
    throw new EvtError('config', 'cannot start the bus: neither url nor env is given', {
      hint: 'give it the environment as env, or a url such as redis://localhost:6379',
    })
  const { loadConfig } = await import('./config/load.ts')
  const { busOf } = await import('./config/bus.ts')
  const { handlerDefaultsOf, handlingOf } = await import('./config/handling.ts')
  const { publishOf } = await import('./config/publish.ts')
  const config = await loadConfig({ cwd: resolve(options.cwd ?? ''), env, flags: {} })
  const bus = busOf(config)
  if (!bus)
    throw new EvtError('config', 'cannot start the bus: no bus is configured', {
      hint: 'set EVENT_BUS_TYPE to memory, redis, kafka or rabbitmq, or to noop, which sends nothing',
    })
  if (bus.stored)
    log.warn('this bus is direct: it stores nothing', {
      hint: 'ENABLE_EVENT_STORE asks for the stored topology: publish with createPublisher, and run createBridge',
    })
  return {
    url: bus.url,
    group: group ?? bus.group,
    layout: layout ?? bus.layout,
    topic: topic ?? bus.topic,
    prefix: topic ?? bus.prefix,
    handling: handlerDefaultsOf(config),
    together: handlingOf(config),
    publish: publishOf(config),
    isPaused: !config.get('processing').value,
    tracing: options.tracing ?? config.get('tracing').value,
  }
}

/** A topic that the URL names is the bus's. */
export function planOf(transport: Transport, place: Place, { lanes }: PlaceOptions): TopicPlan {
  const [named, ...more] = transport.named
  if (more.length > 0)
    throw new EvtError('config', `cannot run a bus over ${transport.named.join(', ')}: it has one topic`, {
      hint: 'name one in the URL, or none and use the option topic',
    })
  const layout = place.layout
  return planTopics({ layout, topic: named ?? place.topic, prefix: place.prefix, lanes })
}

/** Those that are missing; one that is not as asked for is told to the log. */
export async function makeTopics(
  transport: Transport,
  { names, lanes, log }: { readonly names: readonly string[]; readonly lanes: number; readonly log: HandlerLog },
): Promise<void> {
  const topics = names.map((name) => ({ name, lanes }))
  for (const { topic, problem, remedy } of await transport.ensure(topics, 'create'))
    log.warn('a topic is not as asked for', { topic, problem, remedy })
}
