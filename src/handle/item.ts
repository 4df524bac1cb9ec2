import type { EvtEvent } from '../core/event.ts'
import type { AttemptRecord, DeadReason } from '../store/attempts.ts'
import type { StoredDelivery } from '../store/deliveries.ts'
import type { Lane, Received } from '../transports/transport.ts'
import type { Prepared } from './prepare.ts'
import type { HandlerMeter } from './recorder.ts'

/** A lane that this process owns, for one handler. One worker works on it. */
export interface OwnedLane {
  readonly lane: Lane
  /** Taken and not begun, in the lane's order. */
  readonly buffer: Item[]
  /** Subjects whose events are put behind others in the store. Only the owner adds and removes. */
  readonly parked: Set<string>
  /** Ids of events that were given up and may come again all the same. */
  readonly buried: ReadonlySet<string>
  /** `type@version` of what waits in it for a contract. */
  readonly heldFor: Set<string>
  /** What is due in the store. */
  readonly due: DueJob[]
  /** Told when few are left in the buffer, or none will be begun any more. */
  onLow?: () => void
  /** Given back or taken away: nothing of it is begun any more. */
  closed: boolean
  /** Somebody else is in the middle of its events: nothing of it is begun before then. By `performance.now()`. */
  restsUntilMs: number
}

/** Go on with a subject's queue, or with one delivery that stands alone. */
export type DueJob = { readonly subject: string } | { readonly id: string }

/** One event on its way through one handler. */
export interface Item {
  readonly owned: OwnedLane
  readonly message: Received
  readonly takenMs: number
  /** It comes from the store: a retry, an event behind one, a replayed dead letter. Its lane settled it before. */
  readonly stored?: StoredDelivery
  /** This attempt's number. */
  attempt: number
  /** What the attempts before came to. */
  errors: readonly AttemptRecord[]
  /** Counted in `suspects`. */
  suspect: boolean
  prepared?: Prepared
  /** Attempts that the store or other transactions spoiled: not the event's fault, but bounded. */
  spoiled: number
  /** Without a transaction an attempt cannot be taken back: it is done although its position is not settled yet. */
  done?: RunTimes
}

export interface RunTimes {
  readonly startedMs: number
  readonly runUs: number
}

/** An attempt that failed, and what is to become of the event. */
export interface Failure {
  readonly record: AttemptRecord
  /** Set when no further attempt is made whatever their number. */
  readonly hopeless?: DeadReason
}

/** What a transaction does with one item. */
export type Entry =
  | { readonly kind: 'run'; readonly item: Item; readonly event: EvtEvent }
  /** Its subject is parked: it goes behind. */
  | { readonly kind: 'behind'; readonly item: Item }
  | { readonly kind: 'hold'; readonly item: Item; readonly heldFor: string }
  | { readonly kind: 'failed'; readonly item: Item; readonly failure: Failure }
  /** From the store, and the one before it failed: it did not get its turn. */
  | { readonly kind: 'wait'; readonly item: Item }

export function createOwnedLane(
  lane: Lane,
  { parked, buried, heldFor }: Partial<Pick<OwnedLane, 'parked' | 'buried' | 'heldFor'>> = {},
): OwnedLane {
  return {
    ...{ lane, buffer: [], due: [], closed: false, restsUntilMs: 0 },
    ...{ parked: parked ?? new Set(), buried: buried ?? new Set(), heldFor: heldFor ?? new Set() },
  }
}

/** Nothing of the lane is begun any more; what was not begun comes again at its next owner. */
export function closeLane(owned: OwnedLane, meter: Pick<HandlerMeter, 'returned'>): void {
  if (owned.closed) return
  owned.closed = true
  meter.returned(owned.buffer.length)
  owned.buffer.length = 0
  owned.due.length = 0
  owned.onLow?.()
}

/** So many in the buffer are few. */
export const lowWater = 100

export const isResting = (owned: OwnedLane) => owned.restsUntilMs > 0 && owned.restsUntilMs > performance.now()

export function createItem(owned: OwnedLane, message: Received, takenMs: number): Item {
  return { owned, message, takenMs, attempt: 1, errors: [], suspect: false, spoiled: 0 }
}
