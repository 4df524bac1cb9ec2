import { EvtError, toError } from '../../core/errors.ts'
import { openStore } from '../../store/connection.ts'

export interface OutageWatch {
  /** Resolves once the store is held for gone; never rejects. */
  readonly gone: Promise<EvtError>
  stop(): Promise<void>
}

export interface OutageLimits {
  /** Nothing but errors for so long: a restart takes less. */
  readonly failingMs: number
  /** No answer at all for so long: a server under load takes less. */
  readonly silentMs: number
}

const defaultLimits: OutageLimits = { failingMs: 5_000, silentMs: 15_000 }
const askEveryMs = 250

/** Asks the store for a sign of life, over a connection of its own: nothing else in a run would say that it went away. */
export async function watchForOutage(url: string, limits: OutageLimits = defaultLimits): Promise<OutageWatch> {
  const store = await openStore(url, { applicationName: 'evt bench watch', max: 1 })
  const watch = watchBy(() => store.query('select 1'), store.url, limits)
  return {
    gone: watch.gone,
    async stop() {
      await watch.stop()
      await store.close()
    },
  }
}

/** The same by any question that a server answers; `shown` names it. */
export function watchBy(
  question: () => Promise<unknown>,
  shown: string,
  limits: OutageLimits = defaultLimits,
): OutageWatch {
  const gone = Promise.withResolvers<EvtError>()
  let answeredAt = performance.now()
  let failure: EvtError | undefined
  let isAsking = false

  async function ask(): Promise<void> {
    if (isAsking) return
    isAsking = true
    try {
      await question()
      answeredAt = performance.now()
      failure = undefined
    } catch (error) {
      failure = asOutage(error)
    }
    isAsking = false
  }
  const timer = setInterval(() => {
    const waitedMs = performance.now() - answeredAt
    if (failure && waitedMs > limits.failingMs) gone.resolve(failure)
    if (waitedMs > limits.silentMs) {
      const seconds = Math.round(waitedMs / 1_000)
      gone.resolve(new EvtError('connect', `cannot use ${shown}: no answer for ${seconds} s`))
    }
    void ask()
  }, askEveryMs)
  return {
    gone: gone.promise,
    stop: async () => clearInterval(timer),
  }
}

const asOutage = (error: unknown) =>
  error instanceof EvtError ? error : new EvtError('connect', toError(error).message, { cause: error })
