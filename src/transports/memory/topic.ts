import { typeIn } from '../../core/codec.ts'
import { slotCount, slotOf } from '../../core/slot.ts'
import type { Doorbell } from '../doorbell.ts'
import type { Message } from '../transport.ts'

export interface Stored {
  readonly position: bigint
  readonly slot: number
  readonly timeMs: number
  readonly type: string
  readonly message: Message
}

/** The messages of one topic: dense positions from 1; the oldest may have been dropped. */
export interface Topic {
  readonly name: string
  /** 0 while empty. */
  readonly head: bigint
  /** The oldest position that is still there; head + 1 when none is. */
  readonly oldest: bigint
  readonly count: number
  readonly observers: Set<Doorbell>
  at(position: bigint): Stored | undefined
  find(id: string): bigint | undefined
  append(message: Message, timeMs: number): Stored
  /** Drops the oldest, down to `keep` messages, never one after `settledTo`. */
  trim(keep: number, settledTo: bigint): void
}

export function createTopic(name: string): Topic {
  let log: Stored[] = []
  let dropped = 0
  const ids = new Map<string, bigint>()

  return {
    name,
    observers: new Set(),
    get head() {
      return BigInt(dropped + log.length)
    },
    get oldest() {
      return BigInt(dropped + 1)
    },
    get count() {
      return log.length
    },
    at: (position) => log[Number(position) - 1 - dropped],
    find: (id) => ids.get(id),
    append(message, timeMs) {
      const position = BigInt(dropped + log.length + 1)
      // Without a key there is no order to keep: such messages spread over all lanes.
      const slot = message.key === null ? Number(position % BigInt(slotCount)) : slotOf(message.key)
      const stored = { position, slot, timeMs, type: typeIn(message.headers), message }
      log.push(stored)
      ids.set(message.id, position)
      return stored
    },
    trim(keep, settledTo) {
      // In pieces of a tenth: dropping from the front copies what stays.
      if (log.length < keep * 1.1) return
      const settled = Number(settledTo) - dropped
      const drop = Math.min(log.length - keep, settled)
      if (drop <= 0) return
      for (const stored of log.slice(0, drop)) ids.delete(stored.message.id)
      log = log.slice(drop)
      dropped += drop
    },
  }
}
