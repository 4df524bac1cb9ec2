// Room core: the vocabulary of evt and everything that can be computed without I/O. It imports nothing of ours, reads
// no clock and draws no random number: time and randomness are arguments.

export const priorities = ['critical', 'high', 'normal', 'low'] as const
export type Priority = (typeof priorities)[number]

/**
 * One event in memory. Immutable once published. The wire form is CloudEvents 1.0 (`codec/cloudevents.ts`).
 */
export interface EvtEvent<T = unknown> {
  /** UUIDv7 when made here; from outside any string of 1..255 characters (`limits.ts`). Unique for ever: the idempotency key. */
  readonly id: string
  /** Dotted, past tense: `user.created`. */
  readonly type: string
  /** Contract version, an integer >= 1. */
  readonly version: number
  /** Who published it: a service name or URI. */
  readonly source: string
  /** When it happened: RFC 3339 UTC with at least milliseconds. */
  readonly time: string
  /** The aggregate, `user/123`: the ordering key. Events without one have no order. */
  readonly subject?: string
  /** Per subject, >= 1, without gaps when the writer keeps it. */
  readonly sequence?: number
  readonly tenant?: string
  readonly correlationId?: string
  readonly causationId?: string
  /** W3C trace context. */
  readonly traceparent?: string
  readonly actor?: { readonly userId?: string; readonly sessionId?: string }
  readonly priority: Priority
  /** Small, flat additions of the publisher; never needed to understand `data`. */
  readonly metadata: Readonly<Record<string, string | number | boolean>>
  readonly data: T
  /** SHA-256, lower-case hex, over the stored bytes of `data`; computed once, where the event is first encoded. */
  readonly checksum?: string
}

/** What a publisher hands in: everything that evt can fill in itself is optional. */
export type NewEvent<T = unknown> = Pick<EvtEvent<T>, 'type' | 'data'> &
  Partial<Omit<EvtEvent<T>, 'type' | 'data'>> & {
    /** RFC 3339: the store holds it until then. It keeps its `time`; without one, that is when it was published. */
    readonly deliverAt?: string
  }

/** Bytes of `data` above which publishing refuses by default (1 MiB). */
export const maxDataBytes = 1024 * 1024

/** Arrays and objects within each other in `data`, above which publishing refuses: readers recurse, and have a stack. */
export const maxDataDepth = 1_000
