import { setTimeout as delay } from 'node:timers/promises'
import { encodeEvent } from '../../core/codec.ts'
import type { EvtEvent } from '../../core/event.ts'
import { contractsOfServices, createRegistry } from '../../core/registry.ts'
import { createGenerator } from '../../generators/generator.ts'
import { createScenarioGenerator } from '../../generators/scenario/scenario-generator.ts'
import type { ServiceDefinition } from '../../handle/define-service.ts'
import { traffic } from '../../services/registry.ts'
import type { Store } from '../../store/connection.ts'
import { publishEncoded } from '../../store/outbox.ts'

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
const speed = 60
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
  const scenarios = livesOf(options)
  const [counts, ...published] = await Promise.all([
    application.run(onError),
    publish(options, scenarios.next),
    publish(options, reportsOf(options)),
  ])
  return {
    transactions: counts.committed,
    rolledBack: counts.rolledBack,
    published: published.reduce((sum, count) => sum + count, 0),
    poisoned: counts.poisoned + scenarios.poisoned(),
  }
}

/** An event, and when it is due, ms after the start. */
type Due = readonly [dueMs: number, event: EvtEvent]

/** All scenarios of the services, many at a time; what they would expect is the dashboard's to show. */
function livesOf({ services, seed, ratePerSecond, poisonRatio, nowMs }: WriterOptions) {
  const everyMs = (1_000 * usualEvents) / (ratePerSecond * shares.scenarios)
  const generator = createScenarioGenerator({
    registry: createRegistry(contractsOfServices(services)),
    scenarios: services.flatMap(({ name, scenarios = [] }) =>
      scenarios.map((definition) => ({ definition, place: name })),
    ),
    seed,
    nowMs,
    speed,
    arrivals: { at: (k) => k * everyMs },
    ...(poisonRatio > 0 ? { corrupt: { kinds: ['poison'], ratio: poisonRatio } } : {}),
  })
  return {
    next(): Due {
      for (;;) {
        const item = generator.next()
        // Instances come without end.
        if (!item) return [Infinity, undefined as never]
        if ('event' in item) return [item.dueMs, item.event]
      }
    },
    poisoned: () => generator.corrupted.poison,
  }
}

function reportsOf({ services, seed, ratePerSecond, nowMs }: WriterOptions): () => Due {
  const everyMs = 1_000 / (ratePerSecond * shares.reports)
  const generator = createGenerator({
    registry: createRegistry(contractsOfServices(services)),
    types: reports,
    seed,
    nowMs,
    schedule: { at: (k) => k * everyMs },
  })
  let made = 0
  return () => [made++ * everyMs, generator.next()]
}

/** Publishes what is due; resolves with how many, when the signal aborts. */
async function publish({ store, signal, onError }: WriterOptions, next: () => Due): Promise<number> {
  const began = performance.now()
  let published = 0
  let [dueMs, event] = next()
  for (; !signal.aborted; await delay(lookMs, undefined, { signal }).catch(() => {})) {
    const due: EvtEvent[] = []
    for (; dueMs <= performance.now() - began && due.length < most; [dueMs, event] = next()) due.push(event)
    if (due.length === 0) continue
    try {
      await store.transaction((sql) =>
        publishEncoded(
          sql,
          due.map((one) => encodeEvent(one)),
        ),
      )
      published += due.length
    } catch (error) {
      onError(error)
    }
  }
  return published
}
