import type { EventContract } from '../core/define-event.ts'
import { EvtError } from '../core/errors.ts'
import { createMasker } from '../core/masker.ts'
import { createRegistry } from '../core/registry.ts'
import type { HandlerDefinition } from './handler.ts'

export interface AnnouncementOptions {
  /** Unique in the store, as any handler's: `accounts.announce`. */
  readonly name: string
  /** What is announced; of nothing else is it known what may be shown. */
  // biome-ignore lint/suspicious/noExplicitAny: contracts of different payloads
  readonly on: readonly EventContract<any>[]
  /** A lower-case SQL name: `auth_events`. */
  readonly channel: string
}

/** More than that NOTIFY does not carry. */
const mostBytes = 7_900

/** A queue that is half full (somebody listens and does not read) is left alone: overflowing would fail the commit. */
const notifying = 'select pg_notify($1, $2) where pg_notification_queue_usage() < 0.5'

/**
 * A handler that tells events on a plain NOTIFY channel, for those who LISTEN there: `event_type`, `event_id`, `timestamp`, `correlation_id` and
 * the fields of the data, as captures tell theirs. Anybody who may connect may listen, so sensitive fields are `***`. Beyond NOTIFY's limit
 * only the first four travel. Never the delivery: what nobody hears is gone, and a replay tells nothing again. Throws `config` for a channel
 * that is none.
 */
export function defineAnnouncement({ name, on, channel }: AnnouncementOptions): HandlerDefinition {
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(channel) || channel.startsWith('evt_'))
    throw new EvtError('config', `cannot announce on ${JSON.stringify(channel)}: it is no channel for that`, {
      hint: 'a lower-case SQL name that does not begin with evt_, such as auth_events',
    })
  const masker = createMasker({ registry: createRegistry(on) })
  return {
    name,
    on,
    async handle({ id, type, version, time, correlationId, data }, ctx) {
      if (ctx.replay) return
      const head = { event_type: type, event_id: id, timestamp: time, correlation_id: correlationId ?? null }
      const whole = JSON.stringify({ ...head, ...(masker.data({ type, version }, data) as object) })
      const payload = Buffer.byteLength(whole) <= mostBytes ? whole : JSON.stringify(head)
      await ctx.sql.query(notifying, [channel, payload])
    },
  }
}
