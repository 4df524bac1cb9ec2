import { canNotify, openAtParking, park, unpark } from '../store/parked-mark.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import type { RelayTimings } from './timings.ts'
import type { Wake } from './wake.ts'

/**
 * Sleeping without missing anybody. A writer that read "awake" just before the mark changed will not notify, so until all
 * transactions that were open at that moment have ended, looks are frequent. After that notifications wake the relay, and a
 * backstop look makes it right when they fail.
 */
export interface Parking {
  readonly parked: boolean
  park(): Promise<void>
  unpark(): Promise<void>
  /** A look found something: the next ones come soon. */
  found(): void
  /** Until it is time to look again; 'stirred' when somebody woke us. Only while parked. */
  sleep(): Promise<'stirred' | 'slept'>
}

const firstLookMs = 5
/** For this long after the last event, looks stay frequent where no notification can be relied on. */
const patienceMs = 10_000
/** After that, so many times less often. */
const tired = 4

export function createParking(sql: SqlExecutor, wake: Wake, timings: RelayTimings): Parking {
  let stragglersOf: string | undefined
  let activeAt = 0
  let notified = true
  let parked = false
  let lookMs = firstLookMs

  const longestLook = async (): Promise<number> => {
    const blind = Math.min(timings.blindBackstop, timings.backstop)
    const patient = performance.now() - activeAt < patienceMs
    if (!notified || !wake.hears) return patient ? blind : Math.min(blind * tired, timings.backstop)
    if (stragglersOf === undefined) return timings.backstop
    if (!(await openAtParking(sql, stragglersOf))) stragglersOf = undefined
    return stragglersOf !== undefined && patient ? blind : timings.backstop
  }
  return {
    get parked() {
      return parked
    },
    async park() {
      notified = await canNotify(sql)
      if (notified) stragglersOf = await park(sql)
      parked = true
      activeAt = performance.now()
      lookMs = firstLookMs
    },
    found() {
      activeAt = performance.now()
      lookMs = firstLookMs
    },
    async unpark() {
      parked = false
      if (notified) await unpark(sql)
    },
    async sleep() {
      const longest = await longestLook()
      const outcome = await wake.sleep(Math.min(lookMs, longest))
      lookMs = outcome === 'stirred' ? firstLookMs : Math.min(lookMs * 2, longest)
      return outcome
    },
  }
}
