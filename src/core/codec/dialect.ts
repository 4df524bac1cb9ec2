import type { EvtEvent } from '../event.ts'

/** What is known about an event beside its bytes. */
export interface DecodeContext {
  /** Where it was read: a channel, stream, topic or exchange. */
  readonly topic?: string
  /** RFC 3339: for events that say no time of their own. Default: 1970. */
  readonly time?: string
  /** For events without an id: made of origin and position. Default: a hash of the bytes. */
  readonly id?: string
}

/** A context in which nothing is missing. */
export interface FullContext {
  readonly topic: string
  readonly time: string
  readonly id: string
}

/**
 * How one family of systems writes its events. Adding one: a file in this folder and its line in `decode-any.ts`.
 */
export interface Dialect {
  readonly name: string
  /** Cheap and exact enough that no other dialect claims the same object. */
  recognises(value: Readonly<Record<string, unknown>>): boolean
  /** Throws EvtError('decode'). */
  decode(value: Readonly<Record<string, unknown>>, context: FullContext): EvtEvent
}
