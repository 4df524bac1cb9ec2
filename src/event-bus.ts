// The bus of the direct topology: publisher → transport → handlers, with no Postgres. It puts the rooms together as the bridge does for the
// stored one; a driver is loaded when it starts.
import { randomUUID } from 'node:crypto'
import { type BusHealth, createHealthDesk, noHealth } from './bus-health.ts'
import { assertBusOptions } from './bus-option-names.ts'
import { addTo, idleParts, type Parts } from './bus-parts.ts'
import { makeTopics, type Place, placeOf, planOf } from './bus-place.ts'
import type { DialectName } from './core/codec.ts'
import type { Contract } from './core/contract.ts'
import { parseDuration } from './core/duration.ts'
import { EvtError } from './core/errors.ts'
import type { EvtEvent, NewEvent } from './core/event.ts'
import type { Layout } from './core/layout.ts'
import type { PublishOptions } from './core/publish-options.ts'
import { createRegistry, type Registry } from './core/registry.ts'
import type {
  AnyHandlerDefinition,
  HandlerContext,
  HandlerDefinition,
  HandlerLog,
  Middleware,
  SubscribeOptions,
} from './handle/handler.ts'
import type { ResultObserver } from './handle/results.ts'
import type { Subscribing } from './handle/subscribing.ts'
import type { PublishOutcome } from './publish/outcome.ts'
import type { PublishedAll } from './publish/publish-all.ts'
import type { ServerProblem, Transport } from './transports/transport.ts'
import { createCalmLog } from './watch/calm-log.ts'
import { createRecorder, type Recorder } from './watch/recorder.ts'
import { openTracing, type TracingOptions } from './watch/tracing/current.ts'

export interface EventBusOptions {
  /** `memory://name`, `redis://…`, `kafka://…`, `amqp://…`; a topic that it names is the bus's. */
  readonly url?: string
  /**
   * In place of `url`: the environment (`process.env`), and the project's `evt.config.*`. `EVENT_BUS_TYPE` = `redis`, `kafka`, `rabbitmq`,
   * `memory` or `noop`, and `REDIS_EVENT_URL`, `KAFKA_BOOTSTRAP_SERVERS`, `RABBITMQ_URL`, `KAFKA_TOPIC_PREFIX`, `KAFKA_CONSUMER_GROUP` and their like.
   */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Where `evt.config.*` is looked for. Default: the working directory. */
  readonly cwd?: string
  /** Who publishes: what `source` says when an event does not. Default `evt`. */
  readonly source?: string
  /** Events of its types must fit their contracts; others pass. */
  readonly registry?: Registry
  /** They run from the start; `handle` adds more. */
  readonly handlers?: readonly AnyHandlerDefinition[]
  /** Before each handler's name in the name of its group, so that services with handlers of one name stay apart. Default: nothing. */
  readonly group?: string
  /** Default `shards`: one topic whose lanes keep the order of each subject. `per-type` orders only within a type. */
  readonly layout?: Layout
  /** Default `events`. Of layout `per-type`, the prefix before the type. */
  readonly topic?: string
  /** Of a topic that does not exist yet; default 16, and 1 with `per-type` and `single`. */
  readonly lanes?: number
  /** The shape of what is published; default `cloudevents`, evt's own. Handlers read every shape. */
  readonly dialect?: DialectName
  /** Ids that each handler remembers, so that what comes twice runs once; default 10,000 ids, for an hour. */
  readonly duplicates?: { readonly count?: number; readonly window?: string }
  /** Events in all handlers of this process at the same time. Default: what the configuration says; else what each handler says. */
  readonly maxConcurrentHandlers?: number | undefined
  /** Code around every handler, outside of its own. */
  readonly use?: Middleware | undefined
  /** Is told what became of each try to process an event. What it throws is logged; nothing waits for it; one that is far behind misses some. */
  readonly onResult?: ResultObserver | undefined
  /**
   * Ends the process when a handler has not given back its event loop for so long, '1m': who takes over finds the guilty event. Default:
   * what the configuration says; else never.
   */
  readonly watchdog?: string | undefined
  /** Between two calls of a handler's `check`, where it does not say so itself. Default: what the configuration says, '10s'. */
  readonly checkInterval?: string | undefined
  /** How it publishes: batches, rate, duplicates, order, bounds, compression; before what the configuration says. */
  readonly publish?: PublishOptions
  /** Everything that was not published, whatever is done with the outcome. */
  readonly onError?: (error: EvtError, event: NewEvent) => void
  /** OpenTelemetry spans for publishing and handling. Default: what the configuration says; else when there is a provider at the start. */
  readonly tracing?: boolean | TracingOptions | undefined
  readonly log?: HandlerLog
  /** Names this process; unique among those that run. Default: a random one. */
  readonly instance?: string
  /** How long handlers may finish what they began, and what is published may be confirmed; default '10s'. */
  readonly grace?: string
}

/** At least once, from the moment the broker has confirmed an event. Publishing never breaks who publishes. */
export interface EventBus extends Subscribing {
  /** Connects, makes the topic where it is missing, starts the handlers. Throws `connect` or `config`; then nothing runs. */
  start(): Promise<void>
  /**
   * Resolves to what became of the event, when that is known; never throws, never rejects. Waiting for it is the backpressure: above 100,000
   * events or 64 MiB that wait for the broker, further ones are refused. A subject's events keep their order.
   */
  publish(event: NewEvent): Promise<PublishOutcome>
  /** All of them, pulled as the broker confirms; how many it has, and the outcomes of those that it refused or did not confirm. */
  publishAll(events: Iterable<NewEvent> | AsyncIterable<NewEvent>): Promise<PublishedAll>
  /** Resolves when everything that was published until now has its outcome. */
  flush(): Promise<void>
  /** Counters and encoded histograms of this process. */
  stats(): ReturnType<Recorder['sample']>
  /** Asks the broker; never throws. */
  health(): Promise<BusHealth>
  /** Takes nothing more, drains handlers, then confirms what was published, all within the grace; closes the connection. Idempotent. */
  stop(): Promise<void>
  /** What the events travel over, once it has started: `redis`. */
  readonly transport: string | undefined
}

const silent: HandlerLog = { debug() {}, info() {}, warn() {}, error() {} }

/**
 * A bus over one transport, chosen by a URL or by the environment alone: the same program runs on memory, Redis, Kafka and RabbitMQ.
 *
 *     const bus = createEventBus({ env: process.env })
 *     await bus.start()
 *     await bus.subscribe('user.*', async (event) => { … })
 *     await bus.publish({ type: 'user.created', subject: 'user/7', data: { … } })
 */
export function createEventBus(options: EventBusOptions): EventBus {
  assertBusOptions(options)
  const log = options.log ?? silent
  const calm = createCalmLog(log)
  const registry = options.registry ?? createRegistry([])
  const recorder = createRecorder()
  const instance = options.instance ?? `evt-${randomUUID().slice(0, 8)}`
  const graceMs = parseDuration(options.grace ?? '10s')
  let parts: Parts | undefined
  let starting: Promise<void> | undefined
  let stopping: Promise<void> | undefined

  async function open(): Promise<void> {
    const place = await placeOf(options, calm)
    await openTracing(place.tracing)
    const { openTransport } = await import('./transports/registry.ts')
    const onProblem = (error: Error) =>
      calm.error('something fails under the bus', { error: error.message, hint: (error as EvtError).hint })
    const onServerProblem = ({ problem, remedy }: ServerProblem) =>
      calm.warn('the server of the bus could lose what it takes', { problem, hint: remedy })
    const transport = await openTransport(place.url, { onProblem, onServerProblem })
    try {
      const made = transport.isNowhere ? idleParts({ place, transport, calm }) : await assemble(transport, place)
      if (stopping) throw new EvtError('closed', 'cannot start the bus: it was stopped')
      parts = made
      if (place.isPaused) calm.warn('handlers wait: processing is off', { hint: 'EVENT_PROCESSING_ENABLED' })
      for (const definition of options.handlers ?? []) await addTo(made, definition)
    } catch (error) {
      await parts?.subscribers.stop({ graceMs: 0 })
      parts = undefined
      await transport.close()
      throw error
    }
  }

  async function assemble(transport: Transport, place: Place): Promise<Parts> {
    const { createTransportPublisher } = await import('./publish/transport-publisher.ts')
    const { createDirectSubscribers } = await import('./handle/direct/direct-subscribers.ts')
    const { topicsOf } = await import('./handle/direct/subscription.ts')
    const plan = planOf(transport, place, options)
    await makeTopics(transport, { names: plan.fixed ?? [], lanes: plan.lanes, log: calm })
    const onError = (error: EvtError, event: NewEvent) => {
      calm.error('an event was not published', { type: event?.type, error: error.message })
      options.onError?.(error, event)
    }
    const source = options.source ?? 'evt'
    const publisher = createTransportPublisher({
      transport,
      plan,
      registry,
      source,
      onError,
      dialect: options.dialect,
      publish: { ...place.publish, ...options.publish },
    })
    recorder.publisher(publisher.stats)
    const { count, window } = options.duplicates ?? {}
    const watchdog = options.watchdog ?? place.together.watchdog
    const groupOf = (handler: string) => (place.group ? `${place.group}.${handler}` : handler)
    const topicsIn = (patterns: readonly string[]) => topicsOf(patterns, { plan, registry })
    const health = createHealthDesk({ transport, topicsOf: topicsIn, groupOf, recorder })
    const subscribers = createDirectSubscribers({
      maxConcurrentHandlers: options.maxConcurrentHandlers ?? place.together.maxConcurrentHandlers,
      watchdogMs: watchdog === undefined ? undefined : parseDuration(watchdog),
      onResult: options.onResult,
      use: options.use,
      checkIntervalMs: parseDuration(options.checkInterval ?? place.together.checkInterval ?? '10s'),
      transport,
      registry,
      recorder,
      instance,
      log,
      async topicsOf(patterns) {
        const topics = topicsIn(patterns)
        if (!plan.fixed) await makeTopics(transport, { names: topics, lanes: plan.lanes, log: calm })
        return topics
      },
      groupOf,
      publish: async (event) => publishedId(await publisher.publish(event)),
      duplicates: {
        ...(count === undefined ? {} : { count }),
        ...(window === undefined ? {} : { ms: parseDuration(window) }),
      },
    })
    return { place, transport, publisher, subscribers, health }
  }

  async function closeAll({ transport, publisher, subscribers }: Parts): Promise<void> {
    const endMs = performance.now() + graceMs
    // Handlers first: they may still publish.
    await subscribers.stop({ graceMs })
    await publisher.close({ graceMs: Math.max(1_000, endMs - performance.now()) })
    await transport.close()
  }

  function demand(): Parts {
    if (parts && !stopping) return parts
    throw notUsable()
  }

  const notUsable = () =>
    new EvtError('closed', `cannot use the bus: it ${stopping ? 'was stopped' : 'has not been started'}`, {
      hint: 'await bus.start() first',
    })

  function publish(event: NewEvent): Promise<PublishOutcome> {
    if (parts && !stopping) return parts.publisher.publish(event)
    const error = notUsable()
    try {
      options.onError?.(error, event)
    } catch {
      // Whoever listens must not break who publishes.
    }
    return Promise.resolve({ state: 'refused', id: event?.id, error })
  }

  const add = (definition: AnyHandlerDefinition) => addTo(demand(), definition)

  return {
    get transport() {
      return parts?.transport.name
    },
    start() {
      if (stopping) return Promise.reject(new EvtError('closed', 'cannot start the bus: it was stopped'))
      starting ??= open().catch((error: unknown) => {
        starting = undefined
        throw error
      })
      return starting
    },
    publish,
    async publishAll(events) {
      const { publishAll } = await import('./publish/publish-all.ts')
      return publishAll(events, publish)
    },
    flush: async () => parts?.publisher.flush(),
    async subscribe<T>(
      on: Contract<T> | string | readonly string[],
      handle: (event: EvtEvent<T>, ctx: HandlerContext) => unknown,
      given: SubscribeOptions = {},
    ) {
      const { definitionOf } = await import('./handle/subscribe-definition.ts')
      return add(definitionOf([on].flat() as HandlerDefinition['on'], handle, given))
    },
    unsubscribe: async (id) => (parts ? parts.subscribers.remove(id, { graceMs }) : false),
    handle: add,
    pause: (id) => demand().subscribers.pause(id),
    resume: (id) => demand().subscribers.resume(id),
    stats: () => recorder.sample(),
    health: async () => (parts && !stopping ? parts.health.look() : noHealth),
    stop() {
      stopping ??= (async () => {
        await starting?.catch(() => {})
        if (parts) await closeAll(parts)
      })()
      return stopping
    },
  }
}

function publishedId(outcome: PublishOutcome): string {
  if ('error' in outcome) throw outcome.error
  // Where nothing is sent, no handler runs that could ask.
  return outcome.id ?? ''
}
