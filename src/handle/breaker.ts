import { toError } from '../core/errors.ts'
import { type BreakerPolicy, createBreakerCount } from './breaker-count.ts'
import type { HandlerLog } from './handler.ts'
import type { HandlerMeter } from './recorder.ts'

/** Where the state of breakers is kept, for all processes. */
export interface BreakerDesk {
  /** May throw: it is said again. */
  open(trip: { readonly failing: number; readonly seen: number; readonly error: string }): Promise<void>
  /** True when it is this process's turn to probe. */
  claim(): Promise<boolean>
  end(closes: boolean): Promise<void>
}

/**
 * Stops a handler of which many subjects fail, in place of spending the attempts of all of them; tries an event or two from time to time, and
 * goes on when these succeed. While it is open a failure costs no attempt.
 */
export interface Breaker {
  readonly isOpen: boolean
  /** False when nobody needs to know which subjects succeed. */
  readonly isCounting: boolean
  /** One attempt failed of which the next could succeed. */
  failed(key: string, error: string): void
  succeeded(keys: readonly string[]): void
  /** What the desk said to a question of `askedMs`, by `performance.now()`. */
  follow(isOpen: boolean, askedMs: number): void
  /** Once: who stops what runs by it. */
  attach(handler: BrokenHandler): void
  stop(): void
}

/** What a breaker does with the handler that it stops. */
export interface BrokenHandler {
  /** Nothing is begun, but by `probe`. */
  hold(state: boolean): void
  /** Begins one event and resolves when it is done; false when there is none. */
  probe(): Promise<boolean>
}

export interface BreakerOptions {
  readonly handler: string
  readonly policy: BreakerPolicy | undefined
  readonly desk: BreakerDesk
  readonly meter: Pick<HandlerMeter, 'breaker'>
  readonly log: HandlerLog
  /** Asked before each round of probes. Default: it may. */
  mayProbe?(): Promise<boolean>
}

/** One that is poison by itself must not speak for all. */
export const probesOfRound = 3
const majority = 2
/** Of subjects that failed. */
const mostKnown = 10_000

export function createBreaker({ handler, policy, desk, meter, log, mayProbe }: BreakerOptions): Breaker {
  if (!policy) return unbreakable
  const count = createBreakerCount(policy)
  const probed = { good: 0, bad: 0 }
  /** Failed while it was open, or so that it opened. */
  const known = new Set<string>()
  /** Until then these are no news. By `performance.now()`. */
  let knownUntilMs = 0
  let broken: BrokenHandler | undefined
  let isOpen = false
  let unsaid: Parameters<BreakerDesk['open']>[0] | undefined
  let changedMs = 0
  let timer: NodeJS.Timeout | undefined
  let stopped = false

  function set(state: boolean): void {
    isOpen = state
    count.reset()
    knownUntilMs = state ? Number.POSITIVE_INFINITY : performance.now() + (policy?.probeMs ?? 0)
    meter.breaker(state)
    broken?.hold(state)
    if (state) again()
    else clearTimeout(timer)
  }

  function again(): void {
    clearTimeout(timer)
    if (!stopped && isOpen) timer = setTimeout(() => void round().catch(onError).finally(again), policy?.probeMs)
  }

  const onError = (error: unknown) =>
    log.warn('cannot keep the state of a circuit breaker; trying again', { handler, error: toError(error).message })

  async function say(): Promise<void> {
    if (!unsaid) return
    await desk.open(unsaid)
    unsaid = undefined
    changedMs = performance.now()
  }

  async function round(): Promise<void> {
    await say()
    if (mayProbe && !(await mayProbe())) return
    if (!broken || stopped || !isOpen || !(await desk.claim())) return
    probed.good = 0
    probed.bad = 0
    for (let n = 0; n < probesOfRound && !stopped && isOpen; n++) {
      if (probed.good >= majority || probed.bad >= majority || !(await broken.probe())) break
    }
    const closes = probed.good > probed.bad
    await desk.end(closes)
    if (!closes || !isOpen) return
    set(false)
    changedMs = performance.now()
    log.info('a circuit breaker closed: the handler goes on', { handler })
  }

  return {
    get isOpen() {
      return isOpen
    },
    get isCounting() {
      return !isOpen && (count.isCounting || (known.size > 0 && performance.now() < knownUntilMs))
    },
    failed(key, error) {
      probed.bad += 1
      const nowMs = performance.now()
      if (isOpen && known.size < mostKnown) known.add(key)
      if (isOpen || (nowMs < knownUntilMs && known.has(key))) return
      if (nowMs >= knownUntilMs) known.clear()
      const tooMuch = count.failed(key, nowMs)
      if (!tooMuch) return
      for (const failing of count.failing()) known.add(failing)
      set(true)
      log.error('a circuit breaker opened: the handler waits, and nothing of it becomes a dead letter', {
        handler,
        failingSubjects: tooMuch.failing,
        ofSubjects: tooMuch.seen,
        error,
      })
      unsaid = { ...tooMuch, error }
      say().catch(onError)
    },
    succeeded(keys) {
      probed.good += 1
      if (isOpen) return
      const nowMs = performance.now()
      for (const key of keys) {
        known.delete(key)
        count.succeeded(key, nowMs)
      }
    },
    follow(state, askedMs) {
      if (state === isOpen || stopped || unsaid || changedMs > askedMs) return
      set(state)
      changedMs = askedMs
      if (state) log.warn('a circuit breaker is open: the handler waits', { handler })
      else log.info('a circuit breaker closed: the handler goes on', { handler })
    },
    attach(handlerHere) {
      broken = handlerHere
      if (isOpen) broken.hold(true)
    },
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}

const unbreakable: Breaker = {
  isOpen: false,
  isCounting: false,
  failed() {},
  succeeded() {},
  follow() {},
  attach() {},
  stop() {},
}
