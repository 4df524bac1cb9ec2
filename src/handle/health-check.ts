import { formatDuration } from '../core/duration.ts'
import type { Breaker } from './breaker.ts'
import { factsOf } from './failure.ts'
import type { HandlerLog } from './handler.ts'
import type { HandlerConfig } from './handler-config.ts'
import type { HandlerMeter } from './recorder.ts'

/** What a handler says of itself, by its `check`, in this process. */
export interface HealthCheck {
  /** Its last answer was no, or there is none yet. */
  readonly isDown: boolean
  /** Begins to ask; tells whoever has to let the handler wait, and to let it go on. Once. */
  begin(onChange: (isDown: boolean) => void): void
  /** Asks now; who asks meanwhile hears the same answer. Never rejects. */
  ask(): Promise<boolean>
  /** An attempt failed: worth a question, but not a question each. */
  suspect(): void
  stop(): void
}

export interface HealthCheckOptions {
  readonly config: Pick<HandlerConfig, 'name'> & { readonly check: NonNullable<HandlerConfig['check']> }
  readonly meter: Pick<HandlerMeter, 'unhealthy'>
  readonly log: HandlerLog
  /** For a check that does not say how often. */
  readonly everyMs?: number | undefined
}

export const usualCheckMs = 10_000
const answerWithinMs = 5_000
/** While it is down: whoever waits wants to go on soon. */
const downEveryMs = 1_000
const suspectEveryMs = 250

export function createHealthCheck({ config, meter, log, everyMs = usualCheckMs }: HealthCheckOptions): HealthCheck {
  const { name: handler, check } = config
  const intervalMs = check.everyMs ?? everyMs
  let state: 'unknown' | 'well' | 'down' = 'unknown'
  let onChange: (isDown: boolean) => void = () => {}
  let asking: Promise<boolean> | undefined
  let askedMs = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | undefined
  const stopping = new AbortController()

  function set(reason: string | undefined): void {
    const before = state
    state = reason === undefined ? 'well' : 'down'
    meter.unhealthy(reason)
    if (state === before) return
    if (reason !== undefined) log.error('a handler waits: its own check fails', { handler, error: reason })
    else if (before === 'down') log.info('a handler goes on: its own check succeeds', { handler })
    onChange(reason !== undefined)
  }

  async function answer(): Promise<boolean> {
    askedMs = performance.now()
    const reason = await reasonOf((signal) => check.run(signal), stopping.signal)
    asking = undefined
    if (stopping.signal.aborted) return false
    set(reason)
    clearTimeout(timer)
    timer = setTimeout(() => void ask(), state === 'down' ? Math.min(intervalMs, downEveryMs) : intervalMs)
    return state === 'well'
  }

  function ask(): Promise<boolean> {
    if (stopping.signal.aborted) return Promise.resolve(false)
    asking ??= answer()
    return asking
  }

  return {
    get isDown() {
      return state !== 'well'
    },
    begin(told) {
      onChange = told
      onChange(true)
      void ask()
    },
    ask,
    suspect() {
      if (performance.now() - askedMs >= suspectEveryMs) void ask()
    },
    stop() {
      stopping.abort()
      clearTimeout(timer)
    },
  }
}

/** Why not; undefined when it is well. A check that does not answer is left behind. */
async function reasonOf(run: (signal: AbortSignal) => unknown, stopped: AbortSignal): Promise<string | undefined> {
  const late = new AbortController()
  const signal = AbortSignal.any([stopped, late.signal])
  const over = Promise.withResolvers<string>()
  const noAnswer = `no answer within ${formatDuration(answerWithinMs)}`
  const timer = setTimeout(() => {
    over.resolve(noAnswer)
    late.abort(new Error(noAnswer))
  }, answerWithinMs)
  const end = () => over.resolve('the process stops')
  stopped.addEventListener('abort', end, { once: true })
  try {
    return await Promise.race([over.promise, answerOf(run, signal)])
  } finally {
    clearTimeout(timer)
    stopped.removeEventListener('abort', end)
  }
}

async function answerOf(run: (signal: AbortSignal) => unknown, signal: AbortSignal): Promise<string | undefined> {
  try {
    return (await run(signal)) === false ? 'it says no' : undefined
  } catch (thrown) {
    const { class: name, message } = factsOf(thrown)
    return `${name}: ${message.slice(0, 200)}`
  }
}

/** While the check says no, nothing is the events' fault: what fails then costs no attempt, and counts for nothing. */
export function besideCheck(breaker: Breaker, check: HealthCheck): Breaker {
  return {
    get isOpen() {
      return breaker.isOpen || check.isDown
    },
    get isCounting() {
      return breaker.isCounting
    },
    failed(key, error) {
      if (check.isDown) return
      check.suspect()
      breaker.failed(key, error)
    },
    succeeded: (keys) => breaker.succeeded(keys),
    follow: (isOpen, askedMs) => breaker.follow(isOpen, askedMs),
    attach: (handler) => breaker.attach(handler),
    stop() {
      check.stop()
      breaker.stop()
    },
  }
}
