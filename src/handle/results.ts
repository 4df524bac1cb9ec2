import { toError } from '../core/errors.ts'
import type { HandlerLog } from './handler.ts'

/** What one try to process an event came to, once that is settled. */
export interface ProcessingResult {
  readonly handler: string
  /** The handler's service. */
  readonly group: string
  readonly eventId: string
  /** '' where the bytes do not say it. */
  readonly type: string
  readonly subject: string | null
  /**
   * `handled`: its effect is committed. `retried`: the attempt failed, and there will be another. `dead`: it became a dead letter. `skipped`:
   * it was handled before.
   */
  readonly state: 'handled' | 'retried' | 'dead' | 'skipped'
  /** 1 for the first. */
  readonly attempt: number
  /** Of the handler alone; of its call, for an event of a batch. 0 when it was not called. */
  readonly durationMs: number
  /** Bounded, and without the values of sensitive fields. */
  readonly error?: { readonly class: string; readonly message: string; readonly code?: string }
}

/** Runs beside the handlers: what it throws or rejects with is logged, and nobody waits for what it returns. */
export type ResultObserver = (result: ProcessingResult) => unknown

/** Tells an observer, in the order of the results, and never within the work that they are about. */
export interface Results {
  note(result: ProcessingResult): void
  /** Tells what is left, for a second at most. */
  end(): void
}

/** That an observer is behind, at most; further results are not told, but counted. */
const mostWaiting = 10_000
/** Of each turn of the event loop: handlers need the rest. */
const turnMs = 2
const endingMs = 1_000
const tellEveryMs = 10_000

export function createResults(observe: ResultObserver, log: HandlerLog): Results {
  let waiting: ProcessingResult[] = []
  let at = 0
  let isScheduled = false
  let dropped = 0
  const failed = { count: 0, toldMs: Number.NEGATIVE_INFINITY }

  function onFailed(thrown: unknown): void {
    failed.count += 1
    if (performance.now() - failed.toldMs < tellEveryMs) return
    log.warn('an observer of results fails; handlers go on', { error: toError(thrown).message, times: failed.count })
    failed.toldMs = performance.now()
    failed.count = 0
  }

  function tell(result: ProcessingResult): void {
    try {
      const told = observe(result)
      if (isThenable(told)) told.then(undefined, onFailed)
    } catch (thrown) {
      onFailed(thrown)
    }
  }

  function work(forMs: number): void {
    const endMs = performance.now() + forMs
    while (at < waiting.length && performance.now() < endMs) tell(waiting[at++] as ProcessingResult)
    waiting = at < waiting.length ? waiting.slice(at) : []
    at = 0
    if (waiting.length > 0) return
    if (dropped > 0) log.warn('an observer of results was too slow: it was not told of all', { results: dropped })
    dropped = 0
  }

  function turn(): void {
    work(turnMs)
    isScheduled = at < waiting.length
    if (isScheduled) setImmediate(turn)
  }

  return {
    note(result) {
      if (waiting.length - at >= mostWaiting) {
        dropped += 1
        return
      }
      waiting.push(result)
      if (isScheduled) return
      isScheduled = true
      setImmediate(turn)
    },
    end: () => work(endingMs),
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | undefined)?.then === 'function'
}
