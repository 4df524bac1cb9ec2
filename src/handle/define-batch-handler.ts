import type { EventOf, EventSource } from './define-handler.ts'
import type { BatchHandlerDefinition, HandlerContext } from './handler.ts'

/**
 * Declares a handler of several events at once, for a bridge or for a bus of the direct topology; its events have the data types of the
 * contracts that `on` lists. Fields, defaults and promises are in the definition.
 */
export function defineBatchHandler<const On extends readonly EventSource[]>(
  definition: Omit<BatchHandlerDefinition, 'on' | 'handle'> & {
    readonly on: On
    handle(events: readonly EventOf<On[number]>[], ctx: HandlerContext): Promise<void> | void
  },
): BatchHandlerDefinition {
  return definition as unknown as BatchHandlerDefinition
}
