import { EvtError, toError } from '../core/errors.ts'
import type { NewEvent } from '../core/event.ts'
import type { Registry } from '../core/registry.ts'
import type { Store } from '../store/connection.ts'
import { openLoggedMessages } from '../store/logged-messages.ts'
import { createSessions } from '../store/sessions.ts'
import type { SqlExecutor, Transport } from '../transports/transport.ts'
import { createConnectionGate } from './connection-gate.ts'
import { createRuntime, type SharedRuntime } from './create-runtime.ts'
import { createDueSchedule } from './due-schedule.ts'
import type { AnyHandlerDefinition, HandlerLog, Middleware } from './handler.ts'
import { checkedMost, type HandlerConfig, resolveHandler } from './handler-config.ts'
import type { HandlerRuntime } from './handler-runtime.ts'
import { usedBy } from './middleware.ts'
import type { HandleRecorder } from './recorder.ts'
import { createResults, type ResultObserver } from './results.ts'
import { createStoreWatch } from './store-watch.ts'
import { type Subscriber, startSubscriber } from './subscriber.ts'
import { followStopped } from './switches.ts'
import { startWatchdog } from './watchdog.ts'

export interface SubscribersOptions {
  readonly store: Store
  readonly transport: Transport
  readonly handlers: readonly AnyHandlerDefinition[]
  readonly registry: Registry
  readonly recorder: HandleRecorder
  /** Names this process among others: unique among running ones. */
  readonly instance: string
  readonly log: HandlerLog
  /** Writes what this handler publishes in the caller's transaction and gives the ids. */
  publish(sql: SqlExecutor, events: readonly NewEvent[], handler: string): Promise<readonly string[]>
  /** Default: the log. */
  readonly topics?: readonly string[] | ((handler: HandlerConfig) => readonly string[])
  /** Connections for handlers' transactions, over all of them; default 16. */
  readonly connections?: number
  /** Events in all handlers at the same time. Default: only `connections` and what each handler says limit it. */
  readonly maxConcurrentHandlers?: number
  /** Between two checks of a handler that does not say how often it is asked; default 10,000. */
  readonly checkIntervalMs?: number | undefined
  /** Around every handler. */
  readonly use?: Middleware | undefined
  /** Is told what becomes of events. Neither its errors nor its time are the handlers'. */
  readonly onResult?: ResultObserver | undefined
  /** The process is ended when its event loop stands still for so long. Default: never. */
  readonly watchdogMs?: number
}

/** The handlers of one process, subscribed. */
export interface Subscribers {
  /** Resolves when every handler's group is there: before that, a transport without history keeps nothing for it. */
  joined(): Promise<void>
  /**
   * One more, while others run. Resolves when its group is there: what is published from then on reaches it. Throws EvtError('config') for
   * a wrong definition and for a name that runs here already.
   */
  add(definition: AnyHandlerDefinition): Promise<void>
  /** Finishes what runs within `graceMs`. False when there is no such handler. Its place stays: what comes later waits for it. */
  remove(handler: string, options?: { readonly graceMs?: number }): Promise<boolean>
  /** Resolves when all have begun to ask for lanes. Throws EvtError('config') for a wrong definition. */
  start(): Promise<void>
  /**
   * Takes nothing more, finishes what runs within `graceMs` (default 10,000), gives lanes and positions back. What runs
   * longer is rolled back and comes again elsewhere. Idempotent.
   */
  stop(options?: { readonly graceMs?: number }): Promise<void>
  /**
   * In this process only; `evt.handler_switches` does it for all, and a handler runs when neither pauses it. Throws EvtError('usage')
   * for an unknown name.
   */
  pause(handler: string): void
  resume(handler: string): void
}

/** After the grace: for rolling back by themselves, and until what still hangs is left behind. */
const lettingGoMs = 500
const abandonMs = 1500
const closingMs = 500

export const logTopic = 'log'

export function createSubscribers(options: SubscribersOptions): Subscribers {
  const { store, log } = options
  const resolve = (definition: AnyHandlerDefinition) => resolveHandler(usedBy(options.use, definition))
  const configs = unlike(options.handlers.map(resolve))
  const ending = new AbortController()
  const connections = options.connections ?? 16
  const mostConcurrent = checkedMost(options.maxConcurrentHandlers)
  const sessions = createSessions(store, { max: connections, applicationName: `evt handlers ${options.instance}` })
  const gate = createConnectionGate(Math.min(connections, mostConcurrent ?? connections))
  const logged = openLoggedMessages(store)
  const watch = createStoreWatch(store, { log, signal: ending.signal })
  const schedule = createDueSchedule(store, (error) =>
    log.warn('cannot look for what is due', { error: toError(error).message }),
  )
  const watchdog = options.watchdogMs === undefined ? undefined : startWatchdog(options.watchdogMs)
  const results = options.onResult && createResults(options.onResult, log)
  const shared: SharedRuntime = { options, watchdog, results, sessions, gate, mostConcurrent, watch, schedule }
  const running = new Map<string, Running>()
  let stopped: Promise<void> | undefined
  /** By `pause`, and by an operator's switch: either is enough. */
  const paused = { here: new Set<string>(), everywhere: new Set<string>() as ReadonlySet<string> }
  let switches: { stop(): void } | undefined

  const topicsOf = (config: HandlerConfig): readonly string[] =>
    typeof options.topics === 'function' ? options.topics(config) : (options.topics ?? [logTopic])

  const applyPause = (name: string, { one }: Running) => one.pause(paused.here.has(name) || paused.everywhere.has(name))

  function begin(config: HandlerConfig, topics: readonly string[]): Subscriber {
    const forced = new AbortController()
    watchdog?.know(config.name)
    const runtime = createRuntime(config, shared, forced.signal)
    const one = startSubscriber({ runtime, topics, schedule, readLogged: logged.read, registry: options.registry })
    running.set(config.name, { one, runtime, forced })
    return one
  }

  function find(handler: string): Running {
    const found = running.get(handler)
    if (found) return found
    throw new EvtError('usage', `cannot pause or resume ${handler}: no handler of that name runs here`, {
      hint: `known: ${[...running.keys()].join(', ')}`,
    })
  }

  /** Ends in any case: a server that does not answer must not keep the process. */
  async function drain(ended: readonly Running[], graceMs: number, tell: Forcing = {}): Promise<void> {
    const drained = Promise.all(ended.map(({ one }) => one.drain()))
    const overdue: NodeJS.Timeout[] = []
    const force = () => {
      const reason = new EvtError('interrupted', 'the process stops')
      for (const { one, forced } of ended) {
        forced.abort(reason)
        one.force(reason)
      }
      tell.forced?.()
      // What waits in the server for somebody else's lock hears nothing.
      if (tell.late) overdue.push(setTimeout(tell.late, lettingGoMs))
    }
    overdue.push(setTimeout(force, graceMs))
    const abandoned = new Promise<void>((resolve) => overdue.push(setTimeout(resolve, graceMs + abandonMs)))
    await Promise.race([drained, abandoned]).finally(() => overdue.forEach(clearTimeout))
  }

  async function stop(graceMs: number): Promise<void> {
    switches?.stop()
    await drain([...running.values()], graceMs, {
      forced: () => ending.abort(new EvtError('interrupted', 'the process stops')),
      late: () => void sessions.terminate(),
    })
    schedule.stop()
    results?.end()
    await watchdog?.stop()
    const closed = Promise.all([sessions.close(), logged.close()])
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, closingMs).unref())])
  }

  return {
    async start() {
      const topicsByName = new Map(configs.map((config) => [config.name, topicsOf(config)]))
      for (const config of configs) begin(config, topicsByName.get(config.name) ?? [])
      switches = followStopped(store, {
        onAnswer: (stopped, askedMs) => {
          paused.everywhere = stopped.paused
          for (const [name, one] of running) {
            applyPause(name, one)
            one.runtime.breaker.follow(stopped.broken.has(name), askedMs)
          }
        },
        onError: (error) => log.warn('cannot read which handlers are stopped', { error: toError(error).message }),
      })
    },
    async joined() {
      await Promise.all([...running.values()].map(({ one }) => one.joined))
    },
    async add(definition) {
      const config = resolve(definition)
      const { name } = config
      const assertFree = () => {
        if (stopped) throw new EvtError('closed', `cannot subscribe ${name}: the bridge was stopped`)
        if (running.has(name)) throw twice(name)
      }
      assertFree()
      const topics = topicsOf(config)
      const one = begin(config, topics)
      applyPause(name, find(name))
      await one.joined
    },
    async remove(handler, { graceMs = 10_000 } = {}) {
      const found = running.get(handler)
      if (!found) return false
      running.delete(handler)
      paused.here.delete(handler)
      await drain([found], graceMs)
      found.runtime.meter.ended()
      return true
    },
    stop({ graceMs = 10_000 } = {}) {
      stopped ??= stop(graceMs)
      return stopped
    },
    pause(handler) {
      const one = find(handler)
      paused.here.add(handler)
      applyPause(handler, one)
    },
    resume(handler) {
      const one = find(handler)
      paused.here.delete(handler)
      applyPause(handler, one)
    },
  }
}

/** The time to drain is over; what runs still has not ended a moment later. */
interface Forcing {
  forced?(): void
  late?(): void
}

interface Running {
  readonly one: Subscriber
  readonly runtime: HandlerRuntime
  readonly forced: AbortController
}

const twice = (name: string) =>
  new EvtError('config', `cannot use handler ${name}: two handlers have that name`, {
    hint: 'a name stands for one position in the log',
  })

function unlike(configs: readonly HandlerConfig[]): readonly HandlerConfig[] {
  const seen = new Set<string>()
  for (const { name } of configs) {
    if (seen.has(name)) throw twice(name)
    seen.add(name)
  }
  return configs
}
