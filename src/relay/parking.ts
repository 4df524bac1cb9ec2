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
  /** Until it is time to look again; 'stirred' when somebody woke us. Only while parked. */
  sleep(): Promise<'stirred' | 'slept'>
}

const firstLookMs = 5
/** For this long after parking, looks stay frequent for the sake of transactions that were open then. */
const patienceMs = 10_000

export function createParking(sql: SqlExecutor, wake: Wake, timings: RelayTimings): Parking {
  let stragglersOf: string | undefined
  let parkedAt = 0
  let notified = true
  let parked = false
  let lookMs = firstLookMs

  const longestLook = async (): Promise<number> => {
    if (!notified || !wake.hears) return timings.blindBackstop
    if (stragglersOf === undefined) return timings.backstop
    if (!(await openAtParking(sql, stragglersOf))) stragglersOf = undefined
    else if (performance.now() - parkedAt < patienceMs) return Math.min(timings.blindBackstop, timings.backstop)
    return timings.backstop
  }
  return {
    get parked() {
      return parked
    },
    async park() {
      notified = await canNotify(sql)
      if (notified) stragglersOf = await park(sql)
      parked = true
      parkedAt = performance.now()
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
