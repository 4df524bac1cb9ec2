// The bridge puts rooms together: store, relay, transport, handlers, watch. It starts them, drains them and stops them in
// the right order; it decides nothing that one of them could decide. Drivers are loaded when it starts. Its parts are in `bridge/`.
import { randomUUID } from 'node:crypto'
import { checkSubscriptions } from './bridge/access.ts'
import { assertBridgeOptions } from './bridge/option-names.ts'
import { type BridgeOptions, type BridgeRole, bridgeRoles } from './bridge/options.ts'
import { aborted, type PartContext } from './bridge/part.ts'
import type { Contract } from './core/contract.ts'
import { parseDuration } from './core/duration.ts'
import { EvtError } from './core/errors.ts'
import type { EvtEvent } from './core/event.ts'
import { contractsOfServices, createRegistry } from './core/registry.ts'
import type {
  AnyHandlerDefinition,
  HandlerContext,
  HandlerDefinition,
  HandlerLog,
  SubscribeOptions,
} from './handle/handler.ts'
import { assertServices } from './handle/service-shape.ts'
import type { Subscribers } from './handle/subscribers.ts'
import type { Subscribing } from './handle/subscribing.ts'
import { closeStoreWithin, settlesWithin } from './store/close-within.ts'
import type { Store } from './store/connection.ts'
import { createCalmLog } from './watch/calm-log.ts'
import { createRecorder, type Recorder } from './watch/recorder.ts'
import { openTracing } from './watch/tracing/current.ts'

export { type BridgeOptions, type BridgeRole, bridgeRoles } from './bridge/options.ts'
export { type PrivateRegistry, type WithPrivacyOptions, withPrivacy } from './bridge/with-privacy.ts'

export interface Bridge extends Subscribing {
  /** Resolves when everything runs. Throws `connect`, `migrations` (with the hint to migrate) or `config`; then nothing runs. */
  start(): Promise<void>
  /**
   * Takes nothing more, drains within the grace, then stops all. Ends a few seconds after the grace whatever happens: what a server
   * that does not answer holds back is logged and left behind. Idempotent; also ends a start that is under way.
   */
  stop(): Promise<void>
  readonly instance: string
  /** Where it serves HTTP, once it is started. */
  readonly httpUrl: string | undefined
  /** Counters and encoded histograms of this process since it was made. */
  stats(): ReturnType<Recorder['sample']>
}

const silent: HandlerLog = { debug() {}, info() {}, warn() {}, error() {} }
/** Beyond the grace: for all to close in their order; after that, for all that is left at once. */
const closingMs = 3_000
const leavingMs = 500

/** What runs and has to be stopped. */
interface Part {
  readonly name: string
  stop(): Promise<unknown>
}

/** Throws `config` for an option that there is not. */
export function createBridge(options: BridgeOptions): Bridge {
  assertBridgeOptions(options)
  const instance = options.instance ?? `evt-${randomUUID().slice(0, 8)}`
  const graceMs = parseDuration(options.grace ?? '10s')
  const log = options.log ?? silent
  const calm = createCalmLog(log)
  const recorder = createRecorder()
  const ending = new AbortController()
  /** The last started first: stopping goes in this order. */
  const running: Part[] = []
  let over = false
  let subscribers: Subscribers | undefined
  let httpUrl: string | undefined
  let starting: Promise<void> | undefined
  let stopping: Promise<void> | undefined

  /** A start goes on for a while after it was told to stop. */
  function keep(name: string, stop: () => Promise<unknown>): void {
    if (over) void stop().catch(() => {})
    else running.unshift({ name, stop })
  }

  async function startAll(): Promise<void> {
    const roles = rolesOf(options)
    const services = options.services ?? []
    assertServices(services)
    checkSubscriptions(services)
    const context = await prepare()
    await openTracing(options.tracing)
    const { startContracts, startSealing, warnOfMistypes } = await import('./bridge/contracts-part.ts')
    await startSealing(context)
    const { setUpService } = await import('./handle/set-up-service.ts')
    for (const service of services) await setUpService(context.store, service)
    const { startInstance } = await import('./bridge/instance-part.ts')
    await startInstance(context, roles)
    startContracts(context)
    const { startRelay } = await import('./bridge/relay-part.ts')
    if (roles.includes('relay')) await startRelay(context)
    const { startWatch } = await import('./bridge/watch-part.ts')
    if (roles.includes('relay')) await startWatch(context)
    if (roles.includes('handlers')) {
      warnOfMistypes(context)
      const { startHandlers } = await import('./bridge/handlers-part.ts')
      subscribers = await startHandlers(context)
      const { startSagas } = await import('./bridge/sagas-part.ts')
      await startSagas(context)
      const { startProjections } = await import('./bridge/projections-part.ts')
      await startProjections(context)
      const { startServices } = await import('./bridge/services-part.ts')
      startServices(context, services)
    } else context.readable.resolve()
    if (!roles.includes('http') && !options.http) return
    const { startHttp } = await import('./bridge/http-part.ts')
    httpUrl = await startHttp(context, { roles, subscribers })
  }

  async function prepare(): Promise<PartContext> {
    const store = await openOwn()
    const { checkSchema } = await import('./store/migrate.ts')
    await checkSchema(store)
    const known = options.registry ?? createRegistry(contractsOfServices(options.services ?? []))
    const { openGuarded } = await import('./bridge/guarded.ts')
    return {
      options,
      store,
      registry: await openGuarded(known, { options, store, log }),
      instance,
      graceMs,
      log,
      calm,
      recorder,
      signal: ending.signal,
      readable: Promise.withResolvers<void>(),
      keep,
    }
  }

  async function openOwn(): Promise<Store> {
    const given = options.store
    if (typeof given !== 'string') return given
    const { openStore } = await import('./store/connection.ts')
    const store = await openStore(given, { applicationName: `evt bridge ${instance}`, max: 6 })
    keep('the store', () => closeStoreWithin(store, leavingMs))
    return store
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
    throw new EvtError('usage', 'cannot subscribe, pause or resume a handler: this bridge runs none', {
      hint: 'await bridge.start() first, with the role handlers',
    })
  }

  async function add(definition: AnyHandlerDefinition): Promise<string> {
    await demand().add(definition)
    return definition.name
  }

  return {
    instance,
    get httpUrl() {
      return httpUrl
    },
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
    async subscribe<T>(
      on: Contract<T> | string | readonly string[],
      handle: (event: EvtEvent<T>, ctx: HandlerContext) => unknown,
      given: SubscribeOptions = {},
    ) {
      const { definitionOf } = await import('./handle/subscribe-definition.ts')
      return add(definitionOf([on].flat() as HandlerDefinition['on'], handle, given))
    },
    unsubscribe: async (id) => subscribers?.remove(id, { graceMs }) ?? false,
    handle: add,
    pause: (handler) => demand().pause(handler),
    resume: (handler) => demand().resume(handler),
  }
}

function rolesOf({ roles, http }: BridgeOptions): readonly BridgeRole[] {
  if (http) return roles ?? bridgeRoles
  if (roles?.includes('http'))
    throw new EvtError('config', 'cannot serve HTTP: nothing says where', {
      hint: 'give the option http: { port: 8080 }',
    })
  return roles ?? bridgeRoles.filter((role) => role !== 'http')
}
