// The bridge puts rooms together: store, relay, transport, handlers, watch. It starts them, drains them and stops them in
// the right order; it decides nothing that one of them could decide. Drivers are loaded when it starts.
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { parseDuration } from './core/duration.ts'
import { EvtError, toError } from './core/errors.ts'
import { createRegistry, type Registry } from './core/registry.ts'
import type { SinkOptions, SourceOptions } from './core/sinks-and-sources.ts'
import type { ServiceDefinition } from './handle/define-service.ts'
import type { HandlerDefinition, HandlerLog } from './handle/handler.ts'
import type { Subscribers, SubscribersOptions } from './handle/subscribers.ts'
import { closeStoreWithin, settlesWithin } from './store/close-within.ts'
import type { Store } from './store/connection.ts'
import type { ServerProblem } from './transports/transport.ts'
import { createCalmLog } from './watch/calm-log.ts'
import { createRecorder, type Recorder } from './watch/recorder.ts'

export const bridgeRoles = ['relay', 'handlers'] as const
export type BridgeRole = (typeof bridgeRoles)[number]

export interface BridgeOptions {
  /** A URL, whose connections the bridge closes at its end, or an open store, which stays open. */
  readonly store: Store | string
  readonly handlers?: readonly HandlerDefinition[]
  /** Default: made of the contracts of `services`. */
  readonly registry?: Registry
  /** Their handlers run beside `handlers`; tables and captures are set up at the start. */
  readonly services?: readonly ServiceDefinition[]
  /** Default: all. */
  readonly roles?: readonly BridgeRole[]
  /** Names this process; unique among those that run. Default: a random one. */
  readonly instance?: string
  readonly log?: HandlerLog
  /** How long handlers may finish what they began; default '10s'. */
  readonly grace?: string
  /** Connections for handlers' transactions; default 16. */
  readonly connections?: number
  /** Where the relay carries the log to, each with a cursor of its own. */
  readonly sinks?: readonly SinkOptions[]
  /** Foreign traffic that is brought into the store. */
  readonly sources?: readonly SourceOptions[]
  /** The name of a sink: handlers read it in place of the log. */
  readonly consume?: string
}

export interface Bridge {
  /** Resolves when everything runs. Throws `connect`, `migrations` (with the hint to migrate) or `config`; then nothing runs. */
  start(): Promise<void>
  /**
   * Takes nothing more, drains within the grace, then stops all. Ends a few seconds after the grace whatever happens: what a server
   * that does not answer holds back is logged and left behind. Idempotent; also ends a start that is under way.
   */
  stop(): Promise<void>
  readonly instance: string
  /** Counters and encoded histograms of this process since it was made. */
  stats(): ReturnType<Recorder['sample']>
  /** In this process only. Throws `usage` for an unknown handler. */
  pause(handler: string): void
  resume(handler: string): void
}

const silent: HandlerLog = { debug() {}, info() {}, warn() {}, error() {} }
/** Beyond the grace: for all to close in their order; after that, for all that is left at once. */
const closingMs = 3_000
/** A broker that is away must not hold the start. */
const joiningMs = 5_000
const leavingMs = 500
/** What only waits for the server must not take the handlers' grace. */
const besideMs = 1_000

/** What runs and has to be stopped. */
interface Part {
  readonly name: string
  stop(): Promise<unknown>
}

export function createBridge(options: BridgeOptions): Bridge {
  const instance = options.instance ?? `evt-${randomUUID().slice(0, 8)}`
  const graceMs = parseDuration(options.grace ?? '10s')
  const log = options.log ?? silent
  const calm = createCalmLog(log)
  const recorder = createRecorder()
  const ending = new AbortController()
  /** The last started first: stopping goes in this order. */
  const running: Part[] = []
  /** The groups of this bridge's handlers are there, or it has none. */
  const readable = Promise.withResolvers<void>()
  let over = false
  let subscribers: Subscribers | undefined
  let starting: Promise<void> | undefined
  let stopping: Promise<void> | undefined

  /** A start goes on for a while after it was told to stop. */
  function keep(name: string, stop: () => Promise<unknown>): void {
    if (over) void stop().catch(() => {})
    else running.unshift({ name, stop })
  }

  async function startAll(): Promise<void> {
    const roles = options.roles ?? bridgeRoles
    const services = options.services ?? []
    const store = await openOwn()
    const { checkSchema } = await import('./store/migrate.ts')
    await checkSchema(store)
    const { setUpService } = await import('./handle/set-up-service.ts')
    for (const service of services) await setUpService(store, service)
    await startInstance(store, roles)
    if (roles.includes('relay')) await startRelay(store)
    if (!roles.includes('handlers')) return readable.resolve()
    await startHandlers(store, services)
    for (const service of services) runBeside(store, service)
  }

  async function openOwn(): Promise<Store> {
    const given = options.store
    if (typeof given !== 'string') return given
    const { openStore } = await import('./store/connection.ts')
    const store = await openStore(given, { applicationName: `evt bridge ${instance}`, max: 6 })
    keep('the store', () => closeStoreWithin(store, leavingMs))
    return store
  }

  async function startInstance(store: Store, roles: readonly string[]): Promise<void> {
    const { createInstanceRegistry } = await import('./watch/instances.ts')
    const onError = (error: unknown) => {
      if (!ending.signal.aborted) calm.warn('cannot tell how it goes', { error: toError(error).message })
    }
    const { consume: consumes } = options
    const facts = { instance, roles, consumes, version: ownVersion() }
    const registry = createInstanceRegistry({ store, recorder, ...facts, onError })
    await registry.start()
    keep('the registry', () => registry.stop())
  }

  async function startRelay(store: Store): Promise<void> {
    const { createRelay } = await import('./relay/relay.ts')
    const { resolveSinks } = await import('./relay/sink-config.ts')
    const { resolveSources } = await import('./relay/source-config.ts')
    const { openTransport, topicsNamedBy } = await import('./transports/registry.ts')
    // A URL that nobody can open is no outage.
    for (const { url } of [...(options.sinks ?? []), ...(options.sources ?? [])]) await topicsNamedBy(url)
    ending.signal.throwIfAborted()
    const opener = <C extends { readonly name: string; readonly url: string }>(config: C) => ({
      config,
      async open() {
        // What a broker without history takes before the handlers' groups are there, they never get.
        if (config.name === options.consume) await Promise.race([readable.promise, aborted(ending.signal)])
        return openTransport(config.url, { onProblem: problemsOf(config.name), onServerProblem: adviceOf(config.name) })
      },
    })
    const sinks = resolveSinks(options.sinks ?? []).map(opener)
    const sources = resolveSources(options.sources ?? []).map(opener)
    const relay = createRelay({ store, instance, recorder, log: calm, sinks, sources })
    relay.start()
    keep('the relay', () => relay.stop())
  }

  const problemsOf = (where: string) => (error: Error) =>
    calm.error(`something fails under ${where}`, { error: error.message, hint: (error as EvtError).hint })

  const adviceOf =
    (where: string) =>
    ({ problem, remedy }: ServerProblem) =>
      calm.warn(`the server of ${where} could lose what it takes`, { problem, hint: remedy })

  /** What handlers read: the log, or the sink that they consume. */
  async function openIntake(
    store: Store,
    registry: Registry,
  ): Promise<Pick<SubscribersOptions, 'transport' | 'topics'>> {
    const { openTransport } = await import('./transports/registry.ts')
    const onProblem = problemsOf('the handlers')
    const { consume } = options
    if (consume === undefined) {
      const transport = await openTransport(store.connectionString, { onProblem })
      keep('the transport', () => transport.close())
      return { transport }
    }
    const { findSink } = await import('./relay/sink-config.ts')
    const { openSinkForHandlers } = await import('./relay/read-sink.ts')
    const config = findSink(options.sinks ?? [], consume)
    const open = (more: object) => openTransport(config.url, { onProblem, ...more })
    const reading = await openSinkForHandlers({ store, config, open })
    keep('the transport', () => reading.close())
    const known = registry.types()
    return {
      transport: reading.transport,
      topics: ({ name, patterns, wanted }) =>
        reading.topicsOf({ name, patterns, types: wanted.types, matches: wanted.matches }, known),
    }
  }

  async function startHandlers(store: Store, services: readonly ServiceDefinition[]): Promise<void> {
    const registry = options.registry ?? createRegistry(services.flatMap(({ contracts }) => contracts))
    const handlers = [...(options.handlers ?? []), ...services.flatMap((service) => service.handlers)]
    const { createSubscribers } = await import('./handle/subscribers.ts')
    const { createStorePublisher } = await import('./publish/publisher.ts')
    const publisher = createStorePublisher({ store, registry, source: instance })
    const intake = await openIntake(store, registry)
    ending.signal.throwIfAborted()
    const connections = options.connections === undefined ? {} : { connections: options.connections }
    const shared = { store, ...intake, handlers, registry, recorder, instance, log, ...connections }
    const made = createSubscribers({ ...shared, publish: (sql, events) => publisher.publish(sql, events) })
    keep('the handlers', () => made.stop({ graceMs }))
    await made.start()
    subscribers = made
    const joined = made.joined().then(readable.resolve)
    await settlesWithin(joined, joiningMs)
    const { keepInbox } = await import('./handle/keep-inbox.ts')
    const stopInbox = keepInbox(store, calm)
    keep('the inbox', () => settlesWithin(stopInbox(), besideMs))
  }

  function runBeside(store: Store, service: ServiceDefinition): void {
    const context = { transaction: store.transaction, log, signal: ending.signal }
    const work = (async () => service.start?.(context))().catch((error: unknown) => {
      log.error('a service stopped', { service: service.name, error: toError(error).stack })
    })
    // First of all to stop: it may still publish.
    keep(`service ${service.name}`, () => settlesWithin(work, besideMs))
  }

  async function stopAll(): Promise<void> {
    const failed: unknown[] = []
    const left = new Set<string>()
    const stopped: Promise<unknown>[] = []
    const endMs = performance.now() + graceMs + closingMs
    for (let part = running.shift(); part; part = running.shift()) {
      const { name } = part
      left.add(name)
      const done = part.stop().then(
        () => left.delete(name),
        (error: unknown) => left.delete(name) && failed.push(error),
      )
      stopped.push(done)
      await settlesWithin(done, endMs - performance.now())
    }
    over = true
    await settlesWithin(Promise.all(stopped), leavingMs)
    if (left.size > 0) log.warn('stopped without waiting any longer', { for: [...left].join(', ') })
    if (failed.length > 0) throw failed[0]
  }

  function demand(): Subscribers {
    if (subscribers) return subscribers
    throw new EvtError('usage', 'cannot pause or resume a handler: this bridge runs none')
  }

  return {
    instance,
    start() {
      if (stopping) return Promise.reject(new EvtError('closed', 'cannot start the bridge: it was stopped'))
      starting ??= Promise.race([startAll(), aborted(ending.signal)]).catch(async (error: unknown) => {
        if (!ending.signal.aborted) {
          ending.abort(error)
          await stopAll().catch(() => {})
        }
        throw error
      })
      return starting
    },
    stop() {
      stopping ??= (async () => {
        ending.abort(new EvtError('interrupted', 'the bridge stops'))
        await starting?.catch(() => {})
        await stopAll()
      })()
      return stopping
    },
    stats: () => recorder.sample(),
    pause: (handler) => demand().pause(handler),
    resume: (handler) => demand().resume(handler),
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

function ownVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return version
}
