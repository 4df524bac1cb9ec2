import type { Contract } from '../core/contract.ts'
import type { EvtEvent } from '../core/event.ts'
import type { HandlerContext, HandlerDefinition } from './handler.ts'

// biome-ignore lint/suspicious/noExplicitAny: a handler may list contracts of different payloads
export type EventSource = Contract<any> | string

/** The event of one contract; of a pattern, an event of unknown data. */
export type EventOf<S> = S extends Contract<infer T> ? EvtEvent<T> : EvtEvent<unknown>

/**
 * Declares a handler; its event has the data types of the contracts that `on` lists. Fields, defaults and promises are
 * in `HandlerDefinition`; mistakes are found when a bridge takes the handler.
 *
 *     defineHandler({ name: 'icons.preferences', on: [userCreated], async handle(event, ctx) { await ctx.sql`…` } })
 */
export function defineHandler<const On extends readonly EventSource[]>(
  definition: Omit<HandlerDefinition, 'on' | 'handle'> & {
    readonly on: On
    handle(event: EventOf<On[number]>, ctx: HandlerContext): Promise<void> | void
  },
): HandlerDefinition {
  return definition as unknown as HandlerDefinition
}
