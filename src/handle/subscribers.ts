import { EvtError, toError } from '../core/errors.ts'
import type { NewEvent } from '../core/event.ts'
import type { Registry } from '../core/registry.ts'
import { claimProbe, endProbe, openBreaker } from '../store/breakers.ts'
import type { Store } from '../store/connection.ts'
import { openLoggedMessages } from '../store/logged-messages.ts'
import { createSessions } from '../store/sessions.ts'
import { assertNoStrays, leaveLog } from '../store/strays.ts'
import type { SqlExecutor, Transport } from '../transports/transport.ts'
import { type Breaker, type BreakerDesk, createBreaker, probesOfRound } from './breaker.ts'
import { createConnectionGate } from './connection-gate.ts'
import { createDueSchedule } from './due-schedule.ts'
import type { AnyHandlerDefinition, HandlerLog } from './handler.ts'
import { type HandlerConfig, resolveHandler } from './handler-config.ts'
import type { HandlerRuntime } from './handler-runtime.ts'
import { createHealthJudge } from './health.ts'
import { createPace } from './pace.ts'
import { createPreparer } from './prepare.ts'
import type { HandleRecorder, HandlerMeter } from './recorder.ts'
import { createStoreWatch } from './store-watch.ts'
import { type Subscriber, startSubscriber } from './subscriber.ts'
import { followStopped } from './switches.ts'

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
}

/** The handlers of one process, subscribed. */
export interface Subscribers {
  /** Resolves when every handler's group is there: before that, a transport without history keeps nothing for it. */
  joined(): Promise<void>
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
/** Beyond the time that the handler has for its probes. */
const probeGraceMs = 10_000

export const logTopic = 'log'

export function createSubscribers(options: SubscribersOptions): Subscribers {
  const { store, log } = options
  const configs = resolveAll(options.handlers)
  const forced = new AbortController()
  const connections = options.connections ?? 16
  const sessions = createSessions(store, { max: connections, applicationName: `evt handlers ${options.instance}` })
  const gate = createConnectionGate(connections)
  const logged = openLoggedMessages(store)
  const watch = createStoreWatch(store, { log, signal: forced.signal })
  const schedule = createDueSchedule(store, (error) =>
    log.warn('cannot look for what is due', { error: toError(error).message }),
  )
  const alone = createMutex()
  const subscribers = new Map<string, Subscriber>()
  const breakers = new Map<string, Breaker>()
  let stopped: Promise<void> | undefined
  /** By `pause`, and by an operator's switch: either is enough. */
  const paused = { here: new Set<string>(), everywhere: new Set<string>() as ReadonlySet<string> }
  let switches: { stop(): void } | undefined

  function runtimeOf(config: HandlerConfig): HandlerRuntime {
    const identity = {
      handler: config.name,
      group: config.service,
      priority: config.priority,
      concurrency: config.concurrency,
    }
    const meter = options.recorder.handler(identity)
    const judge = createHealthJudge()
    return {
      config,
      store,
      transport: options.transport,
      preparer: createPreparer(config, options.registry),
      meter,
      log,
      instance: options.instance,
      pace: createPace({
        widest: config.width,
        timeoutMs: config.timeoutMs,
        transactions: config.transaction === 'batch' ? 'shared' : 'own',
      }),
      forced: forced.signal,
      async openSession() {
        const leave = await gate.enter(config.priority)
        try {
          return { session: await sessions.open(), leave }
        } catch (error) {
          leave()
          throw error
        }
      },
      publish: (sql, events) => options.publish(sql, events, config.name),
      schedule: (owned, job, delayMs) => schedule.add(owned, job, delayMs),
      storeIsBack: watch.isBack,
      alone,
      breaker: breakerOf(config, meter),
      outcomes: (succeeded, failed) => meter.health(judge.outcomes(succeeded, failed, performance.now())),
    }
  }

  function breakerOf({ name: handler, breaker: policy, timeoutMs }: HandlerConfig, meter: HandlerMeter): Breaker {
    const { instance } = options
    const againInMs = policy?.probeMs ?? 0
    const desk: BreakerDesk = {
      open: (trip) => openBreaker(store, { ...trip, handler, instance, probeInMs: againInMs }),
      claim: () => claimProbe(store, { handler, instance, withinMs: probesOfRound * timeoutMs + probeGraceMs }),
      end: (closes) => endProbe(store, { handler, instance, closes, againInMs }),
    }
    const made = createBreaker({ handler, policy, desk, meter, log })
    breakers.set(handler, made)
    return made
  }

  const topicsOf = (config: HandlerConfig): readonly string[] =>
    typeof options.topics === 'function' ? options.topics(config) : (options.topics ?? [logTopic])

  const applyPause = (name: string, one: Subscriber) => one.pause(paused.here.has(name) || paused.everywhere.has(name))

  function find(handler: string): Subscriber {
    const found = subscribers.get(handler)
    if (found) return found
    throw new EvtError('usage', `cannot pause or resume ${handler}: no handler of that name runs here`, {
      hint: `known: ${[...subscribers.keys()].join(', ')}`,
    })
  }

  /** Ends in any case: a server that does not answer must not keep the process. */
  async function drain(graceMs: number): Promise<void> {
    const drained = Promise.all([...subscribers.values()].map((one) => one.drain()))
    const overdue: NodeJS.Timeout[] = []
    const force = () => {
      const reason = new EvtError('interrupted', 'the process stops')
      forced.abort(reason)
      for (const one of subscribers.values()) one.force(reason)
      // What waits in the server for somebody else's lock hears nothing.
      overdue.push(setTimeout(() => void sessions.terminate(), lettingGoMs))
    }
    overdue.push(setTimeout(force, graceMs))
    const abandoned = new Promise<void>((resolve) => overdue.push(setTimeout(resolve, graceMs + abandonMs)))
    await Promise.race([drained, abandoned]).finally(() => overdue.forEach(clearTimeout))
  }

  async function stop(graceMs: number): Promise<void> {
    switches?.stop()
    await drain(graceMs)
    schedule.stop()
    const closed = Promise.all([sessions.close(), logged.close()])
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, closingMs).unref())])
  }

  return {
    async start() {
      const topicsByName = new Map(configs.map((config) => [config.name, topicsOf(config)]))
      await assertNoStrays(store, topicsByName)
      const elsewhere = [...topicsByName].filter(([, topics]) => !topics.includes(logTopic)).map(([name]) => name)
      for (const { handler, position, behind } of await leaveLog(store, elsewhere)) {
        const facts = { handler, position: String(position), behind: String(behind) }
        if (behind === 0n) log.info('a handler reads a sink now, and no more the log', facts)
        else {
          const hint =
            'what it has not passed waits for it: run it without --consume until it has, or evt groups remove it'
          log.warn('a handler reads a sink now, and has not passed all of the log', { ...facts, hint })
        }
      }
      for (const config of configs) {
        const runtime = runtimeOf(config)
        const topics = topicsByName.get(config.name) ?? []
        subscribers.set(config.name, startSubscriber({ runtime, topics, schedule, readLogged: logged.read }))
      }
      switches = followStopped(store, {
        onAnswer: (stopped, askedMs) => {
          paused.everywhere = stopped.paused
          for (const [name, one] of subscribers) applyPause(name, one)
          for (const [name, breaker] of breakers) breaker.follow(stopped.broken.has(name), askedMs)
        },
        onError: (error) => log.warn('cannot read which handlers are stopped', { error: toError(error).message }),
      })
    },
    async joined() {
      await Promise.all([...subscribers.values()].map((one) => one.joined))
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

function resolveAll(handlers: readonly AnyHandlerDefinition[]): HandlerConfig[] {
  const configs = handlers.map(resolveHandler)
  const seen = new Set<string>()
  for (const { name } of configs) {
    if (seen.has(name))
      throw new EvtError('config', `cannot use handler ${name}: two handlers have that name`, {
        hint: 'a name stands for one position in the log',
      })
    seen.add(name)
  }
  return configs
}

function createMutex(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const next = last.then(work, work)
    last = next.catch(() => {})
    return next
  }
}
