import { parseDuration } from '../core/duration.ts'
import { EvtError, toError } from '../core/errors.ts'
import type { EvtEvent } from '../core/event.ts'
import { classify } from '../handle/classify.ts'
import { factsOf } from '../handle/failure.ts'
import type { HandlerContext, HandlerDefinition } from '../handle/handler.ts'
import { resolveHandler } from '../handle/handler-config.ts'

/** What became of one attempt. */
export interface HandlerResult {
  readonly event: EvtEvent
  /** 1 for the first. */
  readonly attempt: number
  /**
   * `handled`: the code returned. `retried`: it failed, and has attempts left. `dead`: it failed for the last time. `interrupted`: its bridge or
   * bus was stopped, or another one has its events now; it comes again.
   */
  readonly state: 'handled' | 'retried' | 'dead' | 'interrupted'
  /** Of the code alone. */
  readonly durationMs: number
  readonly error?: Error
}

export interface RecordedHandler {
  /** The same handler, to be given to a bus, a bridge or a service in its place. */
  readonly handler: HandlerDefinition
  /** In the order in which attempts ended. */
  readonly results: readonly HandlerResult[]
  /** Resolves with all results when so many events are `handled` or `dead`; throws `timeout` with what there is. Default '5s'. */
  ended(events: number, options?: { readonly within?: string }): Promise<readonly HandlerResult[]>
}

/**
 * Notes what becomes of each attempt of a handler. It sees what the code does, so three things are not in it: events that never reach the
 * code (duplicates, data against the contract), a commit that fails after the code returned (then it is called again), and what an open
 * breaker or `EVENT_RETRY_ATTEMPTS` change about the last attempt. Throws `config` for a wrong definition.
 */
export function recordHandler(definition: HandlerDefinition): RecordedHandler {
  const { name, attempts, nonRetryable } = resolveHandler(definition)
  const results: HandlerResult[] = []
  const waiting = new Set<() => void>()

  function note(result: HandlerResult): void {
    results.push(result)
    for (const look of waiting) look()
  }

  /** The time-out and the end of the process come by the signal; the code may never settle then. */
  function failed(thrown: unknown, attempt: number, isAborted: boolean): Pick<HandlerResult, 'state' | 'error'> {
    const error = toError(thrown)
    if (isAborted && !(thrown instanceof EvtError && thrown.code === 'timeout')) return { state: 'interrupted', error }
    const isLast = attempt >= attempts || classify(thrown, factsOf(thrown), nonRetryable) === 'hopeless'
    return { state: isLast ? 'dead' : 'retried', error }
  }

  async function run(event: EvtEvent, context: HandlerContext): Promise<void> {
    const { attempt, signal } = context
    const beganMs = performance.now()
    let isNoted = false
    const end = (outcome: Pick<HandlerResult, 'state' | 'error'>) => {
      if (isNoted) return
      isNoted = true
      signal.removeEventListener('abort', aborted)
      note({ event, attempt, durationMs: performance.now() - beganMs, ...outcome })
    }
    const aborted = () => end(failed(signal.reason, attempt, true))
    signal.addEventListener('abort', aborted)
    try {
      await definition.handle(event, context)
      end({ state: 'handled' })
    } catch (thrown) {
      end(failed(thrown, attempt, false))
      throw thrown
    }
  }

  const isEnd = ({ state }: HandlerResult) => state === 'handled' || state === 'dead'
  const endedEvents = () => new Set(results.filter(isEnd).map(({ event }) => event.id)).size

  async function ended(events: number, { within = '5s' }: { readonly within?: string } = {}) {
    const done = Promise.withResolvers<void>()
    const look = () => {
      if (endedEvents() >= events) done.resolve()
    }
    const timer = setTimeout(done.resolve, parseDuration(within))
    waiting.add(look)
    look()
    await done.promise
    waiting.delete(look)
    clearTimeout(timer)
    if (endedEvents() >= events) return results
    const there = results.map(({ event, attempt, state }) => `${event.type} ${state} (attempt ${attempt})`).slice(-10)
    throw new EvtError(
      'timeout',
      `cannot wait for ${events} ended events of ${name}: ${endedEvents()} ended within ${within}${there.length > 0 ? `; ${there.join(', ')}` : ''}`,
    )
  }

  return { handler: { ...definition, handle: run }, results, ended }
}
