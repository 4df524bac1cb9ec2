import { setImmediate as nextTurn } from 'node:timers/promises'
import { EvtError } from '../../core/errors.ts'
import type { NewEvent } from '../../core/event.ts'
import type { Registry } from '../../core/registry.ts'
import type { Transport } from '../../transports/transport.ts'
import type { BreakerDesk } from '../breaker.ts'
import { createConnectionGate } from '../connection-gate.ts'
import type { AnyHandlerDefinition, HandlerLog, Middleware } from '../handler.ts'
import { checkedMost } from '../handler-config.ts'
import { createHealthJudge } from '../health.ts'
import { usedBy } from '../middleware.ts'
import { createPreparer } from '../prepare.ts'
import type { HandleRecorder, HandlerMeter } from '../recorder.ts'
import { createResults, type ResultObserver } from '../results.ts'
import { createSelfStops } from '../self-stops.ts'
import { startWatchdog } from '../watchdog.ts'
import { type DirectConfig, resolveDirect } from './direct-config.ts'
import type { DirectRuntime } from './direct-runtime.ts'
import { type DirectSubscriber, startDirectSubscriber } from './direct-subscriber.ts'
import { createDuplicateWindow, type DuplicateOptions } from './duplicates.ts'
import { withDialects } from './foreign.ts'
import { createOneAtATime } from './one-at-a-time.ts'

export interface DirectSubscribersOptions {
  readonly transport: Transport
  readonly registry: Registry
  readonly recorder: HandleRecorder
  /** Names this process among others: unique among running ones. */
  readonly instance: string
  readonly log: HandlerLog
  /** Of one handler: where its events are. Throws `config` when it cannot be told. */
  topicsOf(patterns: readonly string[]): Promise<readonly string[]>
  /** The handler's group on the transport. */
  groupOf(handler: string): string
  /** Publishes to the same transport: the id, once the broker has it. Throws when it does not say so. */
  publish(event: NewEvent): Promise<string>
  readonly duplicates?: DuplicateOptions
  /** Attempts of all handlers at the same time; a batch is one. Default: only what each handler says limits it. */
  readonly maxConcurrentHandlers?: number | undefined
  /** The process is ended when its event loop stands still for so long. Default: never. */
  readonly watchdogMs?: number | undefined
  /** Around every handler. */
  readonly use?: Middleware | undefined
  /** Is told what becomes of events. Neither its errors nor its time are the handlers'. */
  readonly onResult?: ResultObserver | undefined
  /** Between two checks of a handler that does not say how often it is asked; default 10,000. */
  readonly checkIntervalMs?: number | undefined
}

/**
 * Handlers over a transport, with no store. At least once: an event is settled when its handler has returned, or when the transport has
 * confirmed its dead letter. The order of each subject is kept, also through retries.
 */
export interface DirectSubscribers {
  /** Resolves when the handler's group exists, as far as that is told within 10 s: what is published then reaches it. Throws `config`. */
  add(definition: AnyHandlerDefinition, options?: { readonly isPaused?: boolean }): Promise<void>
  /** Finishes what runs within `graceMs`. False when there is no such handler. Its group and position stay on the transport. */
  remove(handler: string, options?: { readonly graceMs?: number }): Promise<boolean>
  /** In this process only. Throws `usage` for an unknown name. */
  pause(handler: string): void
  resume(handler: string): void
  /** Takes nothing more, finishes what runs within `graceMs` (default 10,000); what runs longer comes again elsewhere. Idempotent. */
  stop(options?: { readonly graceMs?: number }): Promise<void>
}

const joinWithinMs = 10_000
/** After the grace, for releasing what is left: then it is left behind. */
const lettingGoMs = 2_000

/** Throws `unsupported` over a transport on which what fails for good would be lost. */
export function createDirectSubscribers(options: DirectSubscribersOptions): DirectSubscribers {
  const { transport, log } = options
  assertUsable(transport)
  const running = new Map<
    string,
    { readonly one: DirectSubscriber; readonly meter: HandlerMeter; readonly forced: AbortController }
  >()
  const suspects = createOneAtATime()
  const breathe = createBreath()
  const watchdog = options.watchdogMs === undefined ? undefined : startWatchdog(options.watchdogMs)
  const results = options.onResult && createResults(options.onResult, log)
  const most = checkedMost(options.maxConcurrentHandlers)
  const gate = most === undefined ? undefined : createConnectionGate(most)
  let stopping: Promise<void> | undefined

  function runtimeOf(config: DirectConfig, forced: AbortSignal): DirectRuntime {
    const { name: handler, service, priority, concurrency } = config
    const meter = options.recorder.handler({ handler, group: service, priority, concurrency })
    const judge = createHealthJudge()
    return {
      config,
      group: options.groupOf(handler),
      transport,
      preparer: withDialects(createPreparer({ versions: config.versions }, options.registry)),
      meter,
      log,
      instance: options.instance,
      duplicates: createDuplicateWindow(options.duplicates),
      forced,
      publish: (event) => options.publish(event),
      suspects,
      breathe,
      ...(gate ? { enter: () => gate.enter(priority) } : {}),
      ...(results ? { results } : {}),
      ...(watchdog ? { watchdog } : {}),
      ...createSelfStops({ config, desk: ownDesk, meter, log, checkIntervalMs: options.checkIntervalMs }),
      outcomes: (succeeded, failed) => meter.health(judge.outcomes(succeeded, failed, performance.now())),
    }
  }

  async function end(handler: string, graceMs: number): Promise<boolean> {
    const found = running.get(handler)
    if (!found) return false
    running.delete(handler)
    const drained = found.one.drain()
    const overdue = setTimeout(() => {
      const reason = new EvtError('interrupted', 'the process stops')
      found.forced.abort(reason)
      found.one.force(reason)
    }, graceMs)
    // A server that does not answer must not keep the process.
    const left = Promise.withResolvers<void>()
    const abandoned = setTimeout(left.resolve, graceMs + lettingGoMs)
    await Promise.race([drained, left.promise])
    clearTimeout(overdue)
    clearTimeout(abandoned)
    return true
  }

  function find(handler: string): DirectSubscriber {
    const found = running.get(handler)
    if (found) return found.one
    throw new EvtError('usage', `cannot pause or resume ${handler}: no handler of that name runs here`, {
      hint: `known: ${[...running.keys()].join(', ')}`,
    })
  }

  return {
    async add(definition, { isPaused = false } = {}) {
      const config = resolveDirect(usedBy(options.use, definition))
      const { name } = config
      if (stopping) throw new EvtError('closed', `cannot subscribe ${name}: the bus was stopped`)
      if (running.has(name))
        throw new EvtError('config', `cannot use handler ${name}: two handlers have that name`, {
          hint: 'a name stands for one position on the bus',
        })
      const topics = await options.topicsOf(config.patterns)
      // Another one may have come meanwhile.
      if (stopping || running.has(name))
        throw new EvtError('closed', `cannot subscribe ${name}: it was stopped, or added twice at once`)
      const forced = new AbortController()
      watchdog?.know(name)
      const runtime = runtimeOf(config, forced.signal)
      const one = startDirectSubscriber(runtime, topics)
      if (isPaused) one.pause(true)
      running.set(name, { one, meter: runtime.meter, forced })
      if (await isThere(runtime, one, topics)) return
      log.warn('a handler has no lane yet; it goes on trying', { handler: name, topics: topics.join(', ') })
    },
    async remove(handler, { graceMs = 10_000 } = {}) {
      const meter = running.get(handler)?.meter
      const isRemoved = await end(handler, graceMs)
      meter?.ended()
      return isRemoved
    },
    pause: (handler) => find(handler).pause(true),
    resume: (handler) => find(handler).pause(false),
    stop({ graceMs = 10_000 } = {}) {
      stopping ??= Promise.all([...running.keys()].map((handler) => end(handler, graceMs))).then(async () => {
        results?.end()
        await watchdog?.stop()
      })
      return stopping
    },
  }
}

function assertUsable({ name, lanes, deadLetters }: Transport): void {
  const refuse = (reason: string, hint: string) =>
    new EvtError('unsupported', `cannot run handlers over ${name}: ${reason}`, { hint })
  if (!lanes) throw refuse('it can only be observed', 'use memory, redis, kafka or rabbitmq')
  if (!deadLetters)
    throw refuse(
      'it keeps no dead letters, and what fails for good would be lost',
      'use memory, redis, kafka or rabbitmq',
    )
}

/** What one process knows, it need not write down. */
const ownDesk: BreakerDesk = {
  open: async () => {},
  claim: async () => true,
  end: async () => {},
}

/** By its first lane, or because others of its group have them all. */
async function isThere({ transport, group }: DirectRuntime, one: DirectSubscriber, topics: readonly string[]) {
  let isJoined = false
  void one.joined.then(() => {
    isJoined = true
  })
  const endMs = performance.now() + joinWithinMs
  while (!isJoined && performance.now() < endMs) {
    const pause = Promise.withResolvers<void>()
    const timer = setTimeout(pause.resolve, 250)
    await Promise.race([one.joined, pause.promise])
    clearTimeout(timer)
    if (isJoined) break
    const known = await transport.inspect(topics).catch(() => undefined)
    if (known?.groups.some((state) => state.group === group && state.members > 0)) return true
  }
  return isJoined
}

/** So long all lanes together go on without letting anything else have its turn. */
const turnMs = 5

function createBreath(): () => Promise<void> | undefined {
  let turn = performance.now()
  return () => {
    if (performance.now() - turn < turnMs) return undefined
    return nextTurn().then(() => {
      turn = performance.now()
    })
  }
}
