import type { z } from 'zod'
import type { EvtEvent } from './event.ts'

/** One version of one event type. Data that fits `schema` is valid; `upcast` makes it from the version below. */
export interface Contract<T = unknown> {
  readonly type: string
  readonly version: number
  readonly schema: z.ZodType<T>
  /** From the data of `version - 1` to the data of this version. Pure. Absent in version 1. */
  readonly upcast?: (data: unknown) => unknown
  /** Published only where the configuration allows it. */
  readonly draft?: true
  /** For generators, where the last word of the type does not tell. */
  readonly lifecycle?: Lifecycle
  /** Phantom: the event that a handler of this contract gets. */
  readonly event?: EvtEvent<T>
}

/** What an event does to the thing that it is about. */
export interface Lifecycle {
  /** The thing did not exist before. */
  readonly begins?: boolean
  /** Types of the same thing, by name or last word, of which one has to be the latest before it. */
  readonly after?: readonly string[]
  /** Nothing happens to the thing afterwards. */
  readonly ends?: boolean
}
