import type { EncodedEvent } from '../core/codec.ts'
import type { EvtError } from '../core/errors.ts'
import type { NewEvent } from '../core/event.ts'
import type { Published } from '../transports/transport.ts'
import type { Queued } from './priority-queue.ts'

/** An event on its way: its bytes are fixed, and sent again as they are. */
export interface Outgoing<P> extends Queued {
  readonly id: string
  readonly payload: P
  readonly bytes: number
  /** By `performance.now()`: when it began to be tried. */
  sinceMs: number
  /** It came with its id: it may have come before, from anywhere. */
  readonly isForeign: boolean
  /** It was sent before, and nobody knows whether it arrived. */
  isAgain: boolean
}

export interface DeadEvent {
  readonly id: string
  readonly event: NewEvent
  readonly error: EvtError
}

/** Where the pipeline ends: the store, or a transport. */
export interface PublishEnd<P> {
  /** Whether it holds events until their `deliverAt`. */
  readonly holds: boolean
  /** Throws EvtError('contract') for what it cannot hold. */
  encode(event: EncodedEvent): { readonly payload: P; readonly bytes: number }
  /** Each queue is sent in its order, one batch at a time. */
  queueOf(type: string): string
  /** One result an event, in order. What it throws counts as `unknown`, `closed` as `refused`. */
  send(queue: string, batch: readonly Outgoing<P>[], signal: AbortSignal): Promise<readonly Published[]>
  /** Resolves to whether it is kept. Absent where there is no place. */
  readonly bury?: ((dead: DeadEvent, signal: AbortSignal) => Promise<boolean>) | undefined
}
