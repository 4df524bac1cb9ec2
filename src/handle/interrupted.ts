import type { Received } from '../transports/transport.ts'

/**
 * What one handler had in hand here when its lane was lost. A transport counts that as a death of the lane's owner, whatever it was: a connection
 * that was cut, a session that ran out. This process knows that it lives.
 */
export interface Interrupted {
  /** Their lane is no longer ours. */
  lost(messages: Iterable<Received>): void
  /** The same messages, their deliveries without those that ended with a loss here. */
  forgive(batch: readonly Received[]): readonly Received[]
}

interface Losses {
  /** As the transport counted it when the message was here last. */
  readonly deliveries: number
  /** So many of them were ours. */
  readonly own: number
}

/** Bounded: what is lost and never comes back here is forgotten. */
export function createInterrupted(most = 10_000): Interrupted {
  /** By the message; the oldest first. */
  const known = new Map<string, Losses>()

  function forgiven(message: Received): Received {
    const key = keyOf(message)
    const before = known.get(key)
    if (before === undefined) return message
    // Where another owner was in between, the rest of the difference is its own. Given back, or known for the same owner, nothing was counted.
    const counted = message.deliveries > before.deliveries ? 1 : 0
    const own = Math.min(before.own + counted, message.deliveries - 1)
    known.set(key, { deliveries: message.deliveries, own })
    return own === 0 ? message : { ...message, deliveries: message.deliveries - own }
  }

  return {
    lost(messages) {
      for (const message of messages) {
        const key = keyOf(message)
        const own = known.get(key)?.own ?? 0
        known.delete(key)
        known.set(key, { deliveries: message.deliveries + own, own })
        if (known.size > most) known.delete(known.keys().next().value as string)
      }
    },
    forgive: (batch) => (known.size === 0 ? batch : batch.map(forgiven)),
  }
}

const keyOf = ({ topic, id }: Received): string => `${topic} ${id}`
