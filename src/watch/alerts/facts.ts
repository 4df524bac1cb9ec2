import { isReplayHandler } from '../../store/replays.ts'
import type { Pressure } from '../metrics/read-pressure.ts'
import type { InstanceSample, Snapshot } from '../snapshot.ts'
import { type HandlerWindow, windowBetween } from '../window.ts'
import { type Baseline, robustScore, withValue } from './baseline.ts'

type Fact = number | string | boolean | null
export type Facts = Readonly<Record<string, Fact>>

/** What the expressions of alerts look at, as `alertFacts` of core describes it. */
export interface MeasuredFacts {
  readonly handler: readonly Facts[]
  readonly sink: readonly Facts[]
  readonly saga: readonly Facts[]
  readonly bridge: readonly Facts[]
  readonly store: Facts
  readonly dead: Facts
  readonly events: Facts
}

export interface FactsInput {
  /** The first of the last minute, and the newest. */
  readonly earlier: Snapshot
  readonly later: Snapshot
  readonly pressure: Pick<Pressure, 'horizon' | 'notifyQueue' | 'sagas'>
  readonly events: {
    readonly perMinute: number | null
    readonly usualPerMinute: number | null
    readonly refusedPerMinute: number
  }
  readonly latencies: ReadonlyMap<string, Baseline>
  /** Handlers that the store knows; of others nothing is missed. */
  readonly placed: ReadonlySet<string>
}

export function factsOf(input: FactsInput): MeasuredFacts {
  const { later, pressure, events } = input
  const { head, instances, dead } = later
  return {
    handler: handlersOf(input),
    sink: sinksOf(input),
    saga: sagasOf(pressure),
    bridge: bridgesOf(input),
    store: {
      outboxPending: head.outboxPending,
      oldestPendingMs: head.oldestPendingMs ?? 0,
      led: instances.some(({ leader }) => leader),
      horizonAgeMs: (pressure.horizon?.ageSeconds ?? 0) * 1000,
      notifyQueue: pressure.notifyQueue,
    },
    dead: { open: dead.open },
    events,
  }
}

function handlersOf({ earlier, later, latencies, placed }: FactsInput): readonly Facts[] {
  const { handlers } = windowBetween(earlier, later)
  return handlers.map((own) => {
    const backlog = later.backlog.find(({ handler }) => handler === own.handler)
    const p95Ms = msOf(own, 0.95)
    const usual = latencies.get(own.handler) ?? []
    return {
      name: own.handler,
      service: own.group,
      handledPerMinute: own.handled,
      failedPerMinute: own.failed,
      deadPerMinute: own.dead,
      errorRate: own.handled + own.failed === 0 ? 0 : own.failed / (own.handled + own.failed),
      p50Ms: msOf(own, 0.5),
      p95Ms,
      p99Ms: msOf(own, 0.99),
      latencyScore: p95Ms === null ? null : robustScore(usual, p95Ms),
      lagEvents: backlog?.lagEvents ?? 0,
      oldestAgeMs: backlog?.oldestAgeMs ?? 0,
      retrying: backlog?.retrying ?? 0,
      parkedSubjects: backlog?.parkedSubjects ?? 0,
      queued: own.queued,
      inFlight: own.inFlight,
      paused: own.paused,
      broken: isBroken(own.handler, later),
      health: healthOf(own.handler, later.instances),
      stuckMs: stuckMsOf(own.handler, later.instances),
      crashed: later.instances.some((one) => orphansOf(one, placed).includes(own.handler)),
    }
  })
}

const msOf = ({ endToEnd }: HandlerWindow, q: number): number | null => {
  const us = endToEnd.percentile(q)
  return us === undefined ? null : us / 1000
}

/** Only of bridges that live: the last word of a dead one is no news. */
function healthOf(handler: string, instances: readonly InstanceSample[]): string {
  const own = instances
    .filter(({ alive }) => alive)
    .flatMap(({ handlers }) => handlers.filter((sample) => sample.handler === handler))
  const worst = (['failing', 'degraded'] as const).find((health) => own.some((sample) => sample.health === health))
  return worst ?? 'healthy'
}

const stuckMsOf = (handler: string, instances: readonly InstanceSample[]): number =>
  Math.max(
    0,
    ...instances.flatMap(({ alive, handlers }) =>
      alive ? handlers.flatMap((sample) => (sample.handler === handler ? (sample.stuckMs ?? 0) : [])) : [],
    ),
  )

/** What the store says: a dead bridge's last word may be that it is. */
const isBroken = (handler: string, { stopped }: Snapshot): boolean =>
  stopped.some((one) => one.handler === handler && one.breaker?.state === 'open')

/**
 * The handlers that a dead bridge ran and nobody has taken over: of each its bridges' last words tell. Those that were taken away are not
 * missed, and of a replay nobody but itself runs one.
 */
const orphansOf = (
  { alive, handlers, takenOver = [] }: InstanceSample,
  placed: ReadonlySet<string>,
): readonly string[] =>
  alive
    ? []
    : handlers
        .map(({ handler }) => handler)
        .filter((handler) => placed.has(handler) && !isReplayHandler(handler) && !takenOver.includes(handler))

function bridgesOf({ later, placed }: FactsInput): readonly Facts[] {
  return later.instances.map((one) => {
    const { instance, alive, ageMs, rssBytes, cpu, handlers, roles, takenOver = [] } = one
    const orphans = orphansOf(one, placed)
    // Who ran no handlers did something else.
    const left = handlers.length > 0 || alive ? [] : roles.filter((role) => !takenOver.includes(role))
    const missing = [...orphans, ...left]
    return {
      ...{ name: instance, alive, rssBytes, cpu, silentMs: ageMs },
      crashed: missing.length > 0,
      ...(missing.length > 0 ? { says: `it ran ${firstOf(missing)}` } : {}),
    }
  })
}

const mostNamed = 5
const firstOf = (names: readonly string[]): string =>
  names.slice(0, mostNamed).join(', ') + (names.length > mostNamed ? ` and ${names.length - mostNamed} more` : '')

function sagasOf({ sagas }: FactsInput['pressure']): readonly Facts[] {
  return [...Map.groupBy(sagas, ({ saga }) => saga)].map(([name, own]) => {
    const countOf = (status: string) => own.find((one) => one.status === status)?.count ?? 0
    return { name, running: countOf('running'), compensating: countOf('compensating'), stuck: countOf('stuck') }
  })
}

function sinksOf({ earlier, later }: FactsInput): readonly Facts[] {
  const samples = later.instances.flatMap(({ alive, leader, instance, sinks = [] }) =>
    alive && leader ? sinks.map((sample) => ({ instance, sample })) : [],
  )
  return samples.map(({ instance, sample }) => {
    const then = earlier.instances
      .find((one) => one.instance === instance)
      ?.sinks?.find(({ sink }) => sink === sample.sink)
    return {
      name: sample.sink,
      lagEvents: sample.lagEvents,
      waiting: sample.waitsFor !== undefined,
      deadPerMinute: sample.dead - (then?.dead ?? 0),
    }
  })
}

/** Handlers whose latency can be told, with the new value. Fewer events say nothing. */
const leastEvents = 10
const mostHandlers = 200

export function latenciesWith(
  latencies: ReadonlyMap<string, Baseline>,
  handlers: readonly Facts[],
): ReadonlyMap<string, Baseline> {
  const next = new Map(latencies)
  for (const { name, p95Ms, handledPerMinute } of handlers) {
    if (typeof p95Ms !== 'number' || Number(handledPerMinute) < leastEvents) continue
    next.set(String(name), withValue(next.get(String(name)) ?? [], Math.round(p95Ms * 100) / 100))
    if (next.size > mostHandlers) next.delete(next.keys().next().value as string)
  }
  return next
}
