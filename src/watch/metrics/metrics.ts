// Metrics, read where they are counted when somebody asks for them: nothing is measured for Prometheus alone.
import { settlesWithin } from '../../store/close-within.ts'
import type { Store } from '../../store/connection.ts'
import type { Recorder } from '../recorder.ts'
import { type BridgeFacts, bridgeFamilies } from './bridge-families.ts'
import { gauge, type MetricFamily, one } from './family.ts'
import { processFamilies } from './process-families.ts'
import { readStore } from './read-store.ts'
import { formatOf, type RenderedMetrics, renderInflux, renderPrometheus } from './render.ts'
import { storeFamilies } from './store-families.ts'

export interface MetricsOptions extends BridgeFacts {
  readonly store: Store
  readonly recorder: Recorder
}

export interface MetricsQuery {
  readonly accept?: string
  /** `?format=influx` */
  readonly format?: string
}

/** However many ask: the store is asked once in that time. */
const freshMs = 1_000
/** Less than Prometheus waits (10 s): what the process itself knows is shown also when the store does not answer. */
const storeMs = 4_000

/** Renders what this process counted and what the store knows. Never throws for a store that is away: `evt_store_up` is 0 then. */
export function createMetrics(options: MetricsOptions): (query?: MetricsQuery) => Promise<RenderedMetrics> {
  let reading: Promise<readonly MetricFamily[]> | undefined
  let readAtMs = Number.NEGATIVE_INFINITY

  function ofStore(): Promise<readonly MetricFamily[]> {
    if (reading && performance.now() - readAtMs < freshMs) return reading
    readAtMs = performance.now()
    reading = readWithin(options.store)
    return reading
  }

  return async (query = {}) => {
    const [known, process] = await Promise.all([ofStore(), processFamilies()])
    const families = [...bridgeFamilies(options.recorder, options), ...known, ...process]
    return formatOf(query) === 'influx'
      ? renderInflux(families, { bridge: options.instance })
      : renderPrometheus(families)
  }
}

const away: readonly MetricFamily[] = [gauge('evt_store_up', '1 when the store answered.', [one(0)])]

async function readWithin(store: Store): Promise<readonly MetricFamily[]> {
  const asked = readStore(store).then(storeFamilies, () => away)
  return (await settlesWithin(asked, storeMs)) ? asked : away
}
