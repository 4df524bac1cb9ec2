import { setTimeout as delay } from 'node:timers/promises'
import { EvtError } from '../core/errors.ts'
import { isOutage } from './errors.ts'

export interface Outage {
  /**
   * The server went away: called once for each time, then it is asked again until it is back. Absent: that is an error, as a
   * server that refuses us always is.
   */
  readonly onLost?: (error: EvtError) => void
  readonly onBack?: () => void
}

/** Resolves with `otherwise` when the signal aborts before the server is back. */
export type KeepAsking = <T>(ask: () => Promise<T>, otherwise: T) => Promise<T>

const firstDelayMs = 100
const longestDelayMs = 2_000

/** What is asked must stand where it stood when it fails: then nothing is given twice, and nothing is missed. */
export function createKeepAsking({ onLost, onBack }: Outage, signal: AbortSignal): KeepAsking {
  return async (ask, otherwise) => {
    for (let delayMs = firstDelayMs; ; delayMs = Math.min(delayMs * 2, longestDelayMs)) {
      try {
        const answer = await ask()
        if (delayMs > firstDelayMs) onBack?.()
        return answer
      } catch (error) {
        if (!onLost || !(error instanceof EvtError) || !isOutage(error)) throw error
        if (signal.aborted) return otherwise
        if (delayMs === firstDelayMs) onLost(error)
      }
      await delay(delayMs, undefined, { signal }).catch(() => {})
      if (signal.aborted) return otherwise
    }
  }
}
