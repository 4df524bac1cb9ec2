import { setTimeout as delay } from 'node:timers/promises'
import { encodeEvent } from '../../core/codec.ts'
import { contractsOfServices, createRegistry } from '../../core/registry.ts'
import { createGenerator } from '../../generators/generator.ts'
import type { ServiceDefinition } from '../../handle/define-service.ts'
import { traffic } from '../../services/registry.ts'
import type { Store } from '../../store/connection.ts'
import { publishEncoded } from '../../store/outbox.ts'

export interface WriterOptions {
  readonly store: Store
  readonly services: readonly ServiceDefinition[]
  readonly seed: number
  /** Transactions of the application a second. */
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
  /** Events that were published without a table behind them: logins, health reports. */
  readonly published: number
  /** Of both, those that some handler trips over. */
  readonly poisoned: number
}

/** Types that no captured table makes. */
const withoutTable = ['auth.*', 'system.{cache_invalidated,health_reported,performance_reported}']

/** Keeps an application busy until the signal aborts; resolves with what it did. */
export async function write(options: WriterOptions): Promise<Written> {
  const { store, seed, ratePerSecond, poisonRatio, signal, onError } = options
  const createTraffic = await traffic.icons()
  const application = createTraffic({ database: store, seed, ratePerSecond, poisonRatio, signal })
  const [counts, published] = await Promise.all([application.run(onError), publish(options)])
  return { transactions: counts.committed, rolledBack: counts.rolledBack, published, poisoned: counts.poisoned }
}

/** A quarter of the application's rate. */
async function publish({
  store,
  services,
  seed,
  ratePerSecond,
  nowMs,
  signal,
  onError,
}: WriterOptions): Promise<number> {
  const registry = createRegistry(contractsOfServices(services))
  const everyMs = 4_000 / ratePerSecond
  const generator = createGenerator({
    registry,
    types: withoutTable,
    seed,
    nowMs,
    schedule: { at: (k) => k * everyMs },
  })
  let published = 0
  for (; !signal.aborted; await delay(everyMs, undefined, { signal }).catch(() => {})) {
    try {
      const event = encodeEvent(generator.next())
      await store.transaction((sql) => publishEncoded(sql, [event]))
      published++
    } catch (error) {
      onError(error)
    }
  }
  return published
}
