import type { BatchHandlerDefinition } from './handler.ts'

/**
 * Declares a handler of several events at once, for a bridge or for a bus of the direct topology. Fields, defaults and promises are in the
 * definition.
 */
export function defineBatchHandler(definition: BatchHandlerDefinition): BatchHandlerDefinition {
  return definition
}
