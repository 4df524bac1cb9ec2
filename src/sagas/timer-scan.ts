import { toError } from '../core/errors.ts'
import type { HandlerLog } from '../handle/handler.ts'
import type { Store } from '../store/connection.ts'
import { fireTimers, forgetSagas } from '../store/timers.ts'

/** How often the store is asked at least: timers of processes that ended are found by that. */
const pollMs = 1_000
/** The transaction that sets a timer commits a moment after it rings. */
const soonMs = 5
const atOnce = 200
const forgetEveryMs = 600_000
/** Sagas that have ended are shown so long. */
const keepDays = 30

/** Fires what is due, for all sagas of the store: any number of processes may do so at the same time. */
export interface TimerScan {
  /** A timer is about to be set, due in so many ms. */
  ring(delayMs: number): void
  stop(): Promise<void>
}

export function startTimerScan(store: Store, log: HandlerLog): TimerScan {
  let stopped = false
  let looking: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  /** By `performance.now()`, all of them. */
  let nextMs = 0
  let rungMs = Number.POSITIVE_INFINITY
  let forgetMs = 0
  /** Grows while nothing is found. */
  let patienceMs = pollMs

  function schedule(): void {
    clearTimeout(timer)
    if (stopped || looking) return
    timer = setTimeout(begin, Math.max(0, Math.min(nextMs, rungMs) - performance.now()))
  }

  function begin(): void {
    const now = performance.now()
    if (rungMs <= now) {
      rungMs = Number.POSITIVE_INFINITY
      patienceMs = soonMs
    }
    looking = look(now)
      .catch((error: unknown) => {
        nextMs = now + pollMs
        log.warn('cannot look for timers of sagas', { error: toError(error).message })
      })
      .finally(() => {
        looking = undefined
        schedule()
      })
  }

  async function look(now: number): Promise<void> {
    const found = await fireTimers(store, atOnce)
    patienceMs = found.fired > 0 ? soonMs : Math.min(pollMs, patienceMs * 2)
    const dueMs = found.nextMs === undefined ? pollMs : found.nextMs + 1
    nextMs = performance.now() + (found.fired === atOnce ? 0 : Math.min(patienceMs, dueMs))
    if (now < forgetMs) return
    forgetMs = now + forgetEveryMs
    const { early } = await forgetSagas(store, keepDays)
    if (early > 0) log.warn('events whose saga never began are forgotten', { events: early })
  }

  schedule()
  return {
    ring(delayMs) {
      if (delayMs > pollMs) return
      rungMs = Math.min(rungMs, performance.now() + Math.max(0, delayMs) + soonMs)
      schedule()
    },
    async stop() {
      stopped = true
      clearTimeout(timer)
      await looking
    },
  }
}
