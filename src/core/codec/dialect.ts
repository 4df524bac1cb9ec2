import type { EvtEvent } from '../event.ts'

/** What is known about an event beside its bytes. */
export interface DecodeContext {
  /** Where it was read: a channel, stream, topic or exchange. */
  readonly topic?: string
  /** RFC 3339: for events that say no time of their own. Default: 1970. */
  readonly time?: string
  /** For events without an id: made of origin and position. Default: a hash of the bytes. */
  readonly id?: string
  /** What came with the bytes, names in lower case. */
  readonly headers?: Readonly<Record<string, string>>
}

/** A context in which nothing is missing. */
export interface FullContext {
  readonly topic: string
  readonly time: string
  readonly id: string
}

/** An object that JSON.parse made. */
export type Wire = Readonly<Record<string, unknown>>

/** How one family of systems writes its events as a JSON object. Adding one: a file in this folder, a line in `dialects.ts`. */
export interface Dialect {
  readonly name: string
  /** The members by which an event of it is known, as `--explain` says them: `event_id, event_type and aggregate_id`. */
  readonly marks: string
  /** The first mark that the object lacks; undefined when it has them all. Cheap, and exact enough that what comes later in the table fits too seldom to matter. */
  lacks(wire: Wire): string | undefined
  /** Throws EvtError('decode'). */
  decode(wire: Wire, context: FullContext): EvtEvent
  /** `data` is the event's own, or that of its bytes with every digit. Throws EvtError('contract') for what the shape cannot hold. */
  encode(event: EvtEvent, data: unknown): Wire
}
