import { setTimeout as delay } from 'node:timers/promises'
import { EvtError, toError } from '../core/errors.ts'
import type { Registry } from '../core/registry.ts'
import type { LaneOptions } from '../transports/transport.ts'
import type { DueSchedule } from './due-schedule.ts'
import type { HandlerRuntime } from './handler-runtime.ts'
import { takeIn } from './intake.ts'
import { closeLane, type OwnedLane } from './item.ts'
import type { ReadLogged } from './rebuild-item.ts'
import { createStepAside, type KnownElsewhere } from './step-aside.ts'
import { suspectsTogether } from './suspects.ts'
import { createWorkers } from './workers.ts'

/** Ordered shards of a handler; fixed when its group is created. */
const lanesOf = (concurrency: number) => (concurrency <= 16 ? 16 : 64)
const prefetch = 200
const restartMs = 1000
const joinedEveryMs = 20

export interface SubscriberOptions {
  readonly runtime: HandlerRuntime
  readonly topics: readonly string[]
  readonly schedule: DueSchedule
  readonly readLogged: ReadLogged
  readonly registry: Registry
}

/** One handler, subscribed: its lanes and its workers. */
export interface Subscriber {
  readonly handler: string
  /** Resolves when the handler's group is there, or the subscriber stops. Never rejects. */
  readonly joined: Promise<void>
  pause(state: boolean): void
  /** Takes nothing more, waits for what runs, gives its lanes back. */
  drain(): Promise<void>
  /** What runs now is interrupted. */
  force(reason: unknown): void
}

export function startSubscriber({ runtime, topics, schedule, readLogged, registry }: SubscriberOptions): Subscriber {
  const { config } = runtime
  const workers = createWorkers({ runtime, readLogged, count: config.workers })
  runtime.breaker.attach(workers)
  const waits = { paused: false, down: false }
  const applyWaits = () => workers.pause(waits.paused || waits.down)
  runtime.check?.begin((isDown) => {
    waits.down = isDown
    applyWaits()
  })
  const owned = new Set<OwnedLane>()
  const stopping = new AbortController()
  const stepAside = createStepAside({ runtime, registry, owned })
  const options: LaneOptions = {
    prefetch,
    suspects: suspectsTogether(config),
    patterns: config.patterns,
    start: config.start,
    lanes: lanesOf(config.concurrency),
    member: runtime.instance,
    signal: stopping.signal,
  }

  async function subscribe(signal: AbortSignal): Promise<void> {
    if (!runtime.transport.lanes)
      throw new EvtError('unsupported', `cannot subscribe ${config.name}: ${runtime.transport.name} has no lanes`)
    for await (const lane of runtime.transport.lanes(topics, config.name, { ...options, signal })) {
      for (const one of owned) if (one.closed) owned.delete(one)
      // Lanes in hand go on when no more can be asked for.
      const taken = await takeIn(runtime, lane, { workers, signal: stopping.signal })
      if (!taken) continue
      owned.add(taken)
      schedule.own(taken, config.name, workers)
      if (signal.aborted && !stopping.signal.aborted) await giveBack(taken)
    }
  }

  /** What runs ends first; what was not begun comes again at the next owner. */
  async function giveBack(one: OwnedLane): Promise<void> {
    closeLane(one, runtime.meter)
    await workers.left(one)
    await one.lane.release().catch(() => {})
  }

  const giveUp = async (known: KnownElsewhere) => {
    const waiting = [...owned].filter((one) => !one.closed && [...one.heldFor].some((held) => known.has(held)))
    await Promise.all(waiting.map(giveBack))
  }

  /** Takes no more; lanes in which nothing waits stay here, where they go on. */
  async function leave(round: AbortController, known: KnownElsewhere): Promise<true> {
    const contracts = [...known].join(', ')
    runtime.log.info('gives lanes to a bridge that knows the contract', { handler: config.name, contracts })
    round.abort(new EvtError('interrupted', `${config.name} steps aside`))
    await giveUp(known)
    return true
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const round = new AbortController()
      const signal = AbortSignal.any([stopping.signal, round.signal])
      const leaving = stepAside.untilWanted(signal).then((known) => (signal.aborted ? false : leave(round, known)))
      await subscribe(signal).catch((error: unknown) =>
        runtime.log.error('cannot subscribe; trying again', { handler: config.name, error: toError(error).message }),
      )
      round.abort()
      if (await leaving) {
        await stepAside.untilOver(stopping.signal, giveUp)
        if (!stopping.signal.aborted) runtime.log.info('takes lanes again', { handler: config.name })
      } else if (!stopping.signal.aborted)
        await delay(restartMs, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }

  async function join(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        if (runtime.transport.join) return await runtime.transport.join(topics, config.name, options)
        // By its first lane, or because others of its group have them all.
        while (!stopping.signal.aborted && owned.size === 0) {
          const { groups } = await runtime.transport.inspect(topics)
          if (groups.some(({ group }) => group === config.name)) return
          await delay(joinedEveryMs, undefined, { signal: stopping.signal }).catch(() => {})
        }
        return
      } catch (error) {
        runtime.log.warn('cannot join; trying again', { handler: config.name, error: toError(error).message })
        await delay(restartMs, undefined, { signal: stopping.signal }).catch(() => {})
      }
    }
  }

  const joined = join()
  const running = run()

  return {
    handler: config.name,
    joined,
    pause(state) {
      if (state === waits.paused) return
      waits.paused = state
      runtime.meter.paused(state)
      applyWaits()
    },
    async drain() {
      runtime.breaker.stop()
      const ended = workers.stop()
      stopping.abort(new EvtError('interrupted', `${config.name} stops`))
      await ended
      for (const one of owned) closeLane(one, runtime.meter)
      await Promise.all([...owned].map((one) => one.lane.release().catch(() => {})))
      await running
    },
    force(reason) {
      workers.interrupt(reason)
    },
  }
}
