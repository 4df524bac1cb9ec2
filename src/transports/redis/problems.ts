import { EvtError } from '../../core/errors.ts'
import { isOutage, type RedisPlace, translateError } from './errors.ts'

const retryMs = 1_000
const maxRemembered = 100

/** What goes wrong behind the lanes, where no caller hears of it, and is tried again. */
export interface Problems {
  /**
   * Tells it, once for each message, unless it is an outage, which passes by itself and shows elsewhere. Returns how long to wait
   * before trying again: `outageMs` for an outage, longer for what somebody has to mend. Never throws.
   */
  report(thrown: unknown, outageMs: number): number
}

export interface ProblemsOptions {
  readonly place: RedisPlace
  /** Nothing is told after it. */
  readonly signal: AbortSignal
  readonly onProblem?: ((error: Error) => void) | undefined
}

export function createProblems({ place, signal, onProblem }: ProblemsOptions): Problems {
  const told = new Set<string>()
  return {
    report(thrown, outageMs) {
      const error = translateError(thrown, place)
      if (signal.aborted || isOutage(thrown) || error.code === 'closed' || error.code === 'timeout') return outageMs
      if (!told.has(error.message)) {
        if (told.size >= maxRemembered) told.clear()
        told.add(error.message)
        onProblem?.(error)
      }
      return retryMs
    },
  }
}

/** The log behind a lane is not at hand, and something is missing. */
export function missingEntries(topic: string, after: bigint, through: bigint): EvtError {
  return new EvtError(
    'conflict',
    `cannot hand out what ${topic} lost: entries of the log after ${after} and up to ${through} are gone from Redis`,
    { hint: 'give the handlers the store that the log is in; then evt fetches them from there' },
  )
}
