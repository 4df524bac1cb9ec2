import { setTimeout as delay } from 'node:timers/promises'
import { toError } from '../core/errors.ts'
import type { Store } from '../store/connection.ts'
import { deliverDue } from '../store/scheduled.ts'
import type { RelayLog } from './relay-recorder.ts'

/** What was scheduled meanwhile for soon is found within this time. */
const pollMs = 250
const atOnce = 1_000

export interface DueScanOptions {
  /** Stands in the dead letters of what cannot be published. */
  readonly instance: string
  readonly log: RelayLog
}

/** Publishes events when their `deliverAt` has come. Any number of processes may do so: the store sees to it that each comes once. */
export function startDueScan(store: Store, { instance, log }: DueScanOptions): { stop(): Promise<void> } {
  const ending = new AbortController()
  const { signal } = ending

  async function scan(): Promise<void> {
    while (!signal.aborted) {
      const waitMs = await look().catch((error: unknown) => {
        log.warn('cannot look for events that are due', { error: toError(error).message })
        return pollMs * 4
      })
      await delay(waitMs, undefined, { signal }).catch(() => {})
    }
  }

  async function look(): Promise<number> {
    const { delivered, refused, nextMs = pollMs } = await deliverDue(store, atOnce, instance)
    if (refused > 0)
      log.warn('events could not be published at their time', { events: refused, hint: 'evt dlq list shows them' })
    return delivered + refused === atOnce ? 0 : Math.max(1, Math.min(pollMs, nextMs))
  }

  const scanning = scan()
  return {
    async stop() {
      ending.abort()
      await scanning
    },
  }
}
