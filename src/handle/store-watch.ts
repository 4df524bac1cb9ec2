import type { Store } from '../store/connection.ts'
import { isRefusal } from '../store/errors.ts'
import type { HandlerLog } from './handler.ts'

const firstMs = 50
const mostMs = 2000
/** A server that refuses us is asked rarely: somebody has to change something. */
const refusedMs = 5000

/** Waits out an outage of the store, once for everybody who waits. */
export interface StoreWatch {
  /** Pauses at least a moment, then until the store answers; also ends at `signal`. Never throws. */
  isBack(): Promise<void>
}

export function createStoreWatch(
  store: Store,
  { log, signal }: { readonly log: HandlerLog; readonly signal: AbortSignal },
): StoreWatch {
  let waiting: Promise<void> | undefined

  const pause = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(done, ms)
      function done(): void {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
      signal.addEventListener('abort', done, { once: true })
    })

  async function wait(): Promise<void> {
    let told: 'away' | 'refused' | undefined
    for (let ms = firstMs; !signal.aborted; ms = ms === refusedMs ? ms : Math.min(ms * 2, mostMs)) {
      await pause(ms)
      try {
        await store.query('select 1')
        if (told) log.info('the store answers again')
        return
      } catch (error) {
        if (isRefusal(error)) {
          if (told !== 'refused') log.error('the store refuses the handlers; they wait', { error: String(error) })
          told = 'refused'
          ms = refusedMs
          continue
        }
        if (!told) log.warn('the store does not answer; handlers wait for it', { error: String(error) })
        told ||= 'away'
      }
    }
  }

  return {
    isBack() {
      waiting ??= wait().finally(() => {
        waiting = undefined
      })
      return waiting
    },
  }
}
