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
  /** Phantom: the event that a handler of this contract gets. */
  readonly event?: EvtEvent<T>
}
