import { toError } from '../core/errors.ts'
import type { Store } from '../store/connection.ts'
import { maintainInbox } from '../store/inbox.ts'
import type { HandlerLog } from './handler.ts'

const everyMs = 3_600_000
/** Inbox rows outlive the longest retention class that evt makes. */
const days = { aheadDays: 14, keepDays: 100 }

/** Partitions of the inbox, now and every hour, until the result is called. */
export function keepInbox(store: Store, log: HandlerLog): () => Promise<void> {
  let round = Promise.resolve()
  const look = () => {
    round = maintainInbox(store, days).catch((error: unknown) =>
      log.warn('upkeep of the inbox has to be repeated', { error: toError(error).message }),
    )
  }
  look()
  const timer = setInterval(look, everyMs)
  return async () => {
    clearInterval(timer)
    await round
  }
}
