import { setTimeout as delay } from 'node:timers/promises'
import { type BackoffPolicy, backoffMs } from '../../core/backoff.ts'
import { toError } from '../../core/errors.ts'
import type { HandlerLog } from '../../handle/handler.ts'
import { type DueNotice, dueNotices, postponeNotice, removeNotice } from '../../store/alerts.ts'
import type { SqlExecutor } from '../../transports/transport.ts'

const answerMs = 5_000
const atOnce = 16
const again: BackoffPolicy = { backoff: 'exponential', initialMs: 1_000, maxMs: 300_000 }
/** About two hours; who is away for longer finds the state in the store. */
const mostAttempts = 30

export interface WebhooksOptions {
  readonly sql: SqlExecutor
  readonly log: HandlerLog
  readonly signal: AbortSignal
}

export interface Webhooks {
  /** Looks for what is due and does not wait for answers: one notice of each webhook is on its way at a time. Throws what the store throws. */
  send(): Promise<void>
  /** Resolves when nothing is on its way; after the signal that is soon. */
  idle(): Promise<void>
}

/** A webhook that never answers costs its own notices, after `answerMs` each, and nobody else's. */
export function createWebhooks({ sql, log, signal }: WebhooksOptions): Webhooks {
  const underWay = new Map<string, Promise<void>>()

  async function deliver(notice: DueNotice): Promise<void> {
    const failed = await post(notice, signal)
    if (failed === undefined) return removeNotice(sql, notice.id)
    if (signal.aborted) return
    // What stands behind the host is often the secret itself.
    const facts = { alert: notice.alert, webhook: new URL(notice.target).origin, error: failed }
    if (notice.attempts + 1 >= mostAttempts) {
      log.error('a webhook was not told of an alert', { ...facts, attempts: notice.attempts + 1 })
      return removeNotice(sql, notice.id)
    }
    log.warn('a webhook did not take an alert; it is told again', facts)
    await postponeNotice(sql, notice.id, backoffMs(again, notice.attempts + 1, Math.random()))
  }

  return {
    async send() {
      if (underWay.size >= atOnce) return
      for (const notice of await dueNotices(sql, [...underWay.keys()], atOnce - underWay.size)) {
        const sent = deliver(notice)
          .catch((error: unknown) => log.warn('cannot note what a webhook was told', { error: toError(error).message }))
          .finally(() => underWay.delete(notice.target))
        underWay.set(notice.target, sent)
      }
    },
    async idle() {
      await Promise.all(underWay.values())
    },
  }
}

/** Why not; undefined when it took it. */
async function post({ target, body }: DueNotice, signal: AbortSignal): Promise<string | undefined> {
  try {
    const within = AbortSignal.any([signal, AbortSignal.timeout(answerMs)])
    const answer = await fetch(target, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'evt' },
      body: JSON.stringify(body),
      // Who answers with another address could be made to call anybody.
      redirect: 'manual',
      signal: within,
    })
    // Nobody reads what it says.
    await Promise.race([answer.body?.cancel(), delay(100)])
    return answer.ok ? undefined : `it answers ${answer.status}`
  } catch (error) {
    const { name, message, cause } = toError(error)
    return name === 'TimeoutError' ? `no answer within ${answerMs / 1000} s` : toError(cause ?? message).message
  }
}
