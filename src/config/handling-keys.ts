import { formatDuration } from '../core/duration.ts'
import { EvtError } from '../core/errors.ts'
import { atLeastOne, durationOf, millisecondsOf } from './read-value.ts'

export interface HandlingValues {
  /** Of one process; undefined: what each handler says. */
  readonly maxConcurrentHandlers: number | undefined
  /** Undefined: nothing watches. */
  readonly watchdogMs: number | undefined
  readonly checkIntervalMs: number
  /** Undefined: what each handler says. */
  readonly batchSize: number | undefined
  /** Of Redis: until a reader that nobody wakes looks by itself; undefined: what its URL says. */
  readonly blockTimeMs: number | undefined
}

export const handlingKeys = {
  maxConcurrentHandlers: {
    name: 'maxConcurrentHandlers',
    says: 'events in all handlers of a process at once',
    default: undefined,
    parse: atLeastOne,
  },
  watchdogMs: {
    name: 'watchdog',
    says: 'ends a process whose event loop stands still so long',
    default: undefined,
    parse: watchdogOf,
    show: (ms: number | undefined) => (ms === undefined ? '' : formatDuration(ms)),
  },
  checkIntervalMs: {
    name: 'checkInterval',
    says: 'time between two checks of a handler’s health',
    default: 10_000,
    parse: checkIntervalOf,
    show: formatDuration,
  },
  batchSize: {
    name: 'batchSize',
    says: 'events that a handler takes at once, at most',
    default: undefined,
    parse: atLeastOne,
    alias: ['EVENT_BATCH_SIZE', 'EVENT_SUBSCRIBER_BATCH_SIZE'],
  },
  blockTimeMs: {
    name: 'blockTime',
    says: 'time until a reader on Redis looks by itself',
    default: undefined,
    parse: blockTimeOf,
    alias: 'EVENT_SUBSCRIBER_BLOCK_TIME',
    show: (ms: number | undefined) => (ms === undefined ? '' : formatDuration(ms)),
  },
} as const

/** Below it, looking would only keep the server busy. */
const leastBlockMs = 10

function blockTimeOf(text: string): number {
  const ms = millisecondsOf(text)
  if (ms >= leastBlockMs) return ms
  throw new EvtError('usage', `cannot read '${text}': it is below ${leastBlockMs} ms`)
}

function checkIntervalOf(text: string): number {
  const ms = durationOf(text)
  if (ms > 0) return ms
  throw new EvtError('usage', `cannot read '${text}': it is not above zero`)
}

/** Looks come a few times within it: below this, a garbage collection would end the process. */
const leastMs = 200

function watchdogOf(text: string): number | undefined {
  if (text === 'off') return undefined
  const ms = durationOf(text)
  if (ms >= leastMs) return ms
  throw new EvtError('usage', `cannot read '${text}': a watchdog waits for ${formatDuration(leastMs)} at least`, {
    hint: "longer than any work between two awaits, such as 1m; or 'off'",
  })
}
