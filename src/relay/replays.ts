import { setTimeout as delay } from 'node:timers/promises'
import { toError } from '../core/errors.ts'
import type { Store } from '../store/connection.ts'
import { type Retry, retryReplayed } from '../store/relay-dead-letters.ts'
import type { RelayLog } from './relay-recorder.ts'

const lookMs = 1_000

export interface ReplaysOptions {
  readonly store: Store
  /** `sink:<name>` or `source:<name>`. */
  readonly by: string
  readonly log: RelayLog
  readonly signal: AbortSignal
  readonly retry: Retry
}

/** Gives dead letters that an operator replays another try, until the signal aborts. Never throws. */
export async function followReplays({ store, by, log, signal, retry }: ReplaysOptions): Promise<void> {
  while (!signal.aborted) {
    try {
      while (!signal.aborted && (await store.transaction((sql) => retryReplayed(sql, by, retry))));
    } catch (error) {
      if (!signal.aborted) log.warn('a replay has to wait', { of: by, error: toError(error).message })
    }
    await delay(lookMs, undefined, { signal }).catch(() => {})
  }
}
