import { setTimeout as delay } from 'node:timers/promises'
import { encodeEvent } from '../../core/codec.ts'
import type { EvtEvent } from '../../core/event.ts'
import { contractsOfServices, createRegistry } from '../../core/registry.ts'
import { createGenerator, type GeneratorOptions } from '../../generators/generator.ts'
import type { PlacedScenario } from '../../generators/scenario/place.ts'
import { createScenarioGenerator, type ScenarioItem } from '../../generators/scenario/scenario-generator.ts'
import type { ServiceDefinition } from '../../handle/define-service.ts'
import { traffic } from '../../services/registry.ts'
import type { Store } from '../../store/connection.ts'
import { publishEncoded } from '../../store/outbox.ts'
import { garbled, mishaps } from './mishaps.ts'

export interface WriterOptions {
  readonly store: Store
  readonly services: readonly ServiceDefinition[]
  readonly seed: number
  /** Writes of all applications a second: the shares are below. */
  readonly ratePerSecond: number
  readonly poisonRatio: number
  readonly nowMs: number
  readonly signal: AbortSignal
  /** A write that failed; the next one is tried. */
  onError(error: unknown): void
}

export interface Written {
  /** Transactions of the application that committed; capture made events of them. */
  readonly transactions: number
  readonly rolledBack: number
  /** Events that were published without a table behind them: orders, logins, health reports. */
  readonly published: number
  /** Of both, those that some handler trips over. */
  readonly poisoned: number
}

/** Of the writes. The application's tables are captured; what lives in the scenarios of the services is published, and so are reports. */
const shares = { application: 0.6, scenarios: 0.3, reports: 0.1 } as const
/** Types that neither a captured table nor a scenario makes. */
const reports = ['system.{cache_invalidated,health_reported,performance_reported,health_check}']
/** Events of a scenario, about; people wait less than in life, so that something is seen. */
const usualEvents = 8
const speed = 120
/** The first of each kind come so much closer together: who looks for some seconds has seen all of them. */
const hurry = 4
const lookMs = 50
/** Published in one transaction. */
const most = 200

/** Keeps applications busy until the signal aborts; resolves with what they did. */
export async function write(options: WriterOptions): Promise<Written> {
  const { store, seed, ratePerSecond, poisonRatio, signal, onError } = options
  const createTraffic = await traffic.icons()
  const application = createTraffic({
    database: store,
    seed,
    ratePerSecond: ratePerSecond * shares.application,
    poisonRatio,
    signal,
  })
  const [counts, ...published] = await Promise.all([
    application.run(onError),
    ...publishedBy(options).map((next) => publish(options, next)),
  ])
  return {
    transactions: counts.committed,
    rolledBack: counts.rolledBack,
    published: published.reduce((sum, { events }) => sum + events, 0),
    poisoned: published.reduce((sum, { mishaps }) => sum + mishaps, counts.poisoned),
  }
}

type Plan = Pick<WriterOptions, 'services' | 'seed' | 'ratePerSecond' | 'poisonRatio' | 'nowMs'>

/** Everything that does not come from a captured table. */
export const publishedBy = (plan: Plan): readonly Next[] => [livesOf(plan), reportsOf(plan), ...accidentsOf(plan)]

/** An event, when it is due, ms after the start, and how many mishaps there are with it. */
interface Due {
  readonly dueMs: number
  readonly event: EvtEvent
  readonly mishaps: number
}
/** Without end. */
type Next = () => Due

interface Cast {
  readonly scenarios: readonly PlacedScenario[]
  readonly everyMs: number
}

/** Scenarios one after the other, many at a time; what they would expect is the dashboard's to show. */
function played({ services, seed, nowMs }: Plan, { scenarios, everyMs }: Cast) {
  const [{ length }, closeMs] = [scenarios, everyMs / hurry]
  const generator = createScenarioGenerator({
    registry: createRegistry(contractsOfServices(services)),
    scenarios,
    order: 'in-turn',
    seed,
    nowMs,
    speed,
    arrivals: { at: (k) => Math.min(k, length) * closeMs + Math.max(0, k - length) * everyMs },
  })
  return () => {
    for (;;) {
      const item = generator.next() as ScenarioItem
      if ('event' in item) return item
    }
  }
}

function livesOf(options: Plan): Next {
  // The first of each service, the second of each: nobody waits until the others are through.
  const scenarios = options.services
    .flatMap(({ name, scenarios = [] }) => scenarios.map((definition, turn) => ({ definition, place: name, turn })))
    .sort((a, b) => a.turn - b.turn)
  const next = played(options, {
    scenarios,
    everyMs: (1_000 * usualEvents) / (options.ratePerSecond * shares.scenarios),
  })
  return () => ({ ...next(), mishaps: 0 })
}

/** What handlers refuse and what contracts refuse, half and half. */
function accidentsOf(options: Plan): readonly Next[] {
  const perSecond = options.ratePerSecond * options.poisonRatio * (1 - shares.application)
  if (perSecond === 0) return []
  const everyMs = 2_000 / perSecond
  const next = played(options, {
    scenarios: mishaps.map((definition) => ({ definition, place: 'demo' })),
    everyMs,
  })
  const mishap = () => {
    const { dueMs, event, instance } = next()
    return { dueMs, event, mishaps: instance }
  }
  return [mishap, generated(options, { types: garbled.types, corrupt: { kinds: garbled.kinds, ratio: 1 }, everyMs })]
}

const reportsOf = (options: Plan): Next =>
  generated(options, { types: reports, everyMs: 1_000 / (options.ratePerSecond * shares.reports) })

interface Kind extends Pick<GeneratorOptions, 'types' | 'corrupt'> {
  readonly everyMs: number
}

function generated({ services, seed, nowMs }: Plan, { everyMs, ...kind }: Kind): Next {
  const at = (k: number) => k * everyMs
  const registry = createRegistry(contractsOfServices(services))
  const generator = createGenerator({ ...kind, registry, seed, nowMs, schedule: { at } })
  let made = 0
  return () => ({ dueMs: at(made++), event: generator.next(), mishaps: kind.corrupt ? made : 0 })
}

/** Publishes what is due; resolves with how many, when the signal aborts. */
async function publish({ store, signal, onError }: WriterOptions, next: Next) {
  const began = performance.now()
  const published = { events: 0, mishaps: 0 }
  let coming = next()
  for (; !signal.aborted; await delay(lookMs, undefined, { signal }).catch(() => {})) {
    const due: Due[] = []
    for (; coming.dueMs <= performance.now() - began && due.length < most; coming = next()) due.push(coming)
    if (due.length === 0) continue
    try {
      await store.transaction((sql) =>
        publishEncoded(
          sql,
          due.map(({ event }) => encodeEvent(event)),
        ),
      )
      published.events += due.length
      published.mishaps = due.at(-1)?.mishaps ?? 0
    } catch (error) {
      onError(error)
    }
  }
  return published
}
