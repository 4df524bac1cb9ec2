import { setTimeout as delay } from 'node:timers/promises'
import { backoffMs } from '../core/backoff.ts'
import { EvtError } from '../core/errors.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import type { Store } from './connection.ts'

const mostTries = 6
const policy = { backoff: 'exponential', initialMs: 50, maxMs: 1_000 } as const

/** Serialization failure, deadlock. */
const spoiled: ReadonlySet<unknown> = new Set(['40001', '40P01'])

/**
 * A transaction that is tried again when another one was in its way: then nothing of it was done. `work` has to be ready to be
 * called several times. Throws `timeout` after six tries; `what` is the verb and object of that message.
 */
export async function retryTransaction<T>(
  store: Store,
  what: string,
  work: (sql: SqlExecutor) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await store.transaction(work)
    } catch (error) {
      if (!(error instanceof Error) || !spoiled.has((error as { code?: unknown }).code)) throw error
      if (tries === mostTries) {
        throw new EvtError('timeout', `cannot ${what}: other transactions were in the way ${tries} times`, {
          hint: 'nothing was half-done; try again, and `select * from pg_stat_activity` shows who works on the same rows',
          cause: error,
        })
      }
      await delay(backoffMs(policy, tries, Math.random()))
    }
  }
}
