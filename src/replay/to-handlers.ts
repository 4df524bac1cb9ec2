import { setTimeout as delay } from 'node:timers/promises'
import type { NewEvent } from '../core/event.ts'
import type { Registry } from '../core/registry.ts'
import type {
  AnyHandlerDefinition,
  BatchHandlerDefinition,
  HandlerContext,
  HandlerDefinition,
  HandlerLog,
} from '../handle/handler.ts'
import { isBatchHandler } from '../handle/handler-config.ts'
import type { HandleRecorder, HandlerMeter } from '../handle/recorder.ts'
import { createSubscribers } from '../handle/subscribers.ts'
import type { Store } from '../store/connection.ts'
import { isOutage } from '../store/errors.ts'
import {
  type HandlerProgress,
  type Replay,
  type ReplayLease,
  replayHandlerName,
  replayProgress,
} from '../store/replays.ts'
import { openTransport } from '../transports/registry.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import { holdReplay, type ReplayEnd } from './held.ts'
import type { Wants } from './history.ts'
import { createPace, pacedTransport } from './pace.ts'

export interface HandlersRun {
  readonly store: Store
  readonly replay: Replay
  readonly lease: ReplayLease
  /** As services declare them: those that the replay names. */
  readonly handlers: readonly AnyHandlerDefinition[]
  readonly wants: Wants
  readonly registry: Registry
  readonly recorder: HandleRecorder
  readonly log: HandlerLog
  readonly instance: string
  /** Of handlers' transactions at the same time. */
  readonly connections: number
  readonly signal: AbortSignal
  publish(sql: SqlExecutor, events: readonly NewEvent[]): Promise<readonly string[]>
  onProgress(position: bigint): void
}

export interface HandlersEnd {
  readonly end: ReplayEnd
  /** Handled in earlier runs, where no inbox counts it: by handlers without a transaction, and before the replay was opened again. */
  readonly before: number
  readonly handlers: readonly HandlerProgress[]
}

const lookMs = 250

/**
 * Runs the handlers over the history until they are through it, as groups of the replay's own: what fails is tried again and becomes a
 * dead letter as in live traffic, and touches no other group. What was committed before a crash is not done again. It ends as paused while something
 * waits behind a dead letter or for a contract.
 */
export async function replayToHandlers(run: HandlersRun): Promise<HandlersEnd> {
  const { store, replay, lease, registry, recorder, log, instance, connections } = run
  const { ratePerSecond } = replay.selection
  const onProblem = (error: Error) => log.warn('something fails under the replay', { error: error.message })
  const history = { upTo: replay.upto, wants: run.wants }
  const whole = await openTransport(store.connectionString, { onProblem, history })
  const transport = ratePerSecond === undefined ? whole : pacedTransport(whole, createPace(ratePerSecond))
  const handlers = run.handlers.map((handler) => ofReplay(handler, replay.id))
  const bare = countedBare(
    recorder,
    handlers.filter(({ transaction }) => transaction === 'none').map(({ name }) => name),
  )
  const shared = { store, transport, handlers, registry, recorder: bare.recorder, instance, log, connections }
  const subscribers = createSubscribers({ ...shared, publish: run.publish })
  let position = replay.after
  const progress = () => ({ done: replay.done + bare.total(), position })
  const held = holdReplay({ sql: store, lease, signal: run.signal, progress })
  try {
    await subscribers.start()
    for (;;) {
      await held.beat()
      const seen = await look(store, replay)
      if (seen.length > 0) {
        position = least(seen.map((one) => one.position))
        run.onProgress(position)
        if (position >= replay.upto && seen.every(({ retrying }) => retrying === 0)) break
      }
      if (held.ending.aborted) break
      await delay(lookMs, undefined, { signal: held.ending }).catch(() => {})
    }
  } finally {
    await subscribers.stop({ graceMs: 5_000 })
    await whole.close()
  }
  // What was handled since the last beat.
  await held.beat()
  const counted = await replayProgress(store, replay, { counted: true })
  // What waits for a contract, or behind a dead letter, is still to be handled.
  const isThrough = counted.every(({ waiting }) => waiting === 0)
  return {
    end: held.end() ?? (isThrough ? 'done' : 'paused'),
    before: replay.done,
    handlers: counted.map((one) => ({
      ...one,
      handled: one.handled + bare.of(replayHandlerName(one.handler, replay.id)),
    })),
  }
}

/** Counts what handlers without a transaction do: they have no inbox that would tell. */
function countedBare(recorder: HandleRecorder, names: readonly string[]) {
  const counts = new Map(names.map((name) => [name, 0]))
  const counting = (name: string, meter: HandlerMeter): HandlerMeter => ({
    ...meter,
    handled(times, type) {
      counts.set(name, (counts.get(name) ?? 0) + 1)
      meter.handled(times, type)
    },
  })
  const own: HandleRecorder = {
    handler(identity) {
      const meter = recorder.handler(identity)
      return counts.has(identity.handler) ? counting(identity.handler, meter) : meter
    },
  }
  return {
    recorder: own,
    of: (name: string) => counts.get(name) ?? 0,
    total: () => [...counts.values()].reduce((sum, count) => sum + count, 0),
  }
}

const least = (positions: readonly bigint[]) => positions.reduce((a, b) => (b < a ? b : a))

/** [] while the store is away: the handlers wait for it too. */
async function look(store: Store, replay: Replay): Promise<readonly HandlerProgress[]> {
  try {
    return await replayProgress(store, replay, { counted: false })
  } catch (error) {
    if (isOutage(error)) return []
    throw error
  }
}

/** The same handler by the replay's name for it, which its inbox, its lanes and its retries go by. */
function ofReplay(handler: AnyHandlerDefinition, id: string): AnyHandlerDefinition {
  const own = { name: replayHandlerName(handler.name, id), priority: 'low' as const }
  const group = handler.group === undefined ? {} : { group: handler.group }
  if (isBatchHandler(handler)) {
    const handle: BatchHandlerDefinition['handle'] = (events, context) => handler.handle(events, replayed(context, id))
    return { ...handler, ...own, ...group, handle }
  }
  const handle: HandlerDefinition['handle'] = (event, context) => handler.handle(event, replayed(context, id))
  return { ...handler, ...own, ...group, handle }
}

/** Redrives of the replay's own dead letters say so themselves. */
function replayed(context: HandlerContext, id: string): HandlerContext {
  return new ReplayedContext(context, id)
}

class ReplayedContext implements HandlerContext {
  readonly #of: HandlerContext
  readonly replay: { readonly id: string; readonly count: number }
  constructor(of: HandlerContext, id: string) {
    this.#of = of
    this.replay = { id, count: of.replay?.count ?? 1 }
  }
  get sql() {
    return this.#of.sql
  }
  get publish() {
    return this.#of.publish
  }
  get signal() {
    return this.#of.signal
  }
  get log() {
    return this.#of.log
  }
  get attempt() {
    return this.#of.attempt
  }
  get position() {
    return this.#of.position
  }
}
