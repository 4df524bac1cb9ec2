import { setTimeout as delay } from 'node:timers/promises'
import { fromHeaders } from '../core/codec.ts'
import { toError } from '../core/errors.ts'
import type { NewEvent } from '../core/event.ts'
import type { Store } from '../store/connection.ts'
import { publishEncoded } from '../store/outbox.ts'
import { type RelayDeadLetter, type Retry, retryReplayed } from '../store/relay-dead-letters.ts'
import { type PrepareOptions, prepareEvent } from './publisher.ts'

const lookMs = 1_000

export interface RedrivenOptions {
  readonly store: Store
  /** Its contracts decide anew. */
  readonly registry: PrepareOptions['registry']
  readonly instance: string
  readonly warn: (message: string, facts: Record<string, unknown>) => void
}

/** Publishes what publishers had to give up, when an operator replays it: under its id, against the contracts of today. */
export function startRedriven({ store, registry, instance, warn }: RedrivenOptions): { stop(): Promise<void> } {
  const ending = new AbortController()
  const { signal } = ending

  const retryOf =
    (by: string): Retry =>
    async (message, sql) => {
      try {
        const { checksum: _, ...event } = fromHeaders(message.headers, message.body) as NewEvent
        await registry.guard?.load([event], registry.get)
        const encoded = prepareEvent(event, { registry, source: by.slice(by.indexOf(':') + 1) })
        await publishEncoded(sql, [encoded], { keyed: true })
        return undefined
      } catch (thrown) {
        const error = toError(thrown)
        const { code } = error as { readonly code?: string }
        // It was not the event's fault, and it stays due.
        if (code === undefined || code === 'connect' || code === 'config') throw thrown
        return { by, message, type: typeOf(message.headers), reason: 'publish', error: said(error, code), instance }
      }
    }

  async function look(): Promise<void> {
    const { rows } = await store.query(
      `select distinct handler from evt.deliveries where handler >= 'publisher:' and handler < 'publisher;'`,
    )
    for (const { handler } of rows) {
      const by = String(handler)
      while (!signal.aborted && (await store.transaction((sql) => retryReplayed(sql, by, retryOf(by)))));
    }
  }

  async function follow(): Promise<void> {
    while (!signal.aborted) {
      await look().catch((error: unknown) => warn('a replay has to wait', { error: toError(error).message }))
      await delay(lookMs, undefined, { signal }).catch(() => {})
    }
  }

  const following = follow()
  return {
    async stop() {
      ending.abort()
      await following
    },
  }
}

const typeOf = (headers: Readonly<Record<string, string>>) => headers['ce-type'] ?? 'unknown'

const said = (error: Error, code: string): RelayDeadLetter['error'] => ({
  class: error.name,
  code,
  message: error.message,
})
