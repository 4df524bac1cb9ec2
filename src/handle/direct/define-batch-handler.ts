import type { BatchHandlerDefinition } from './direct-config.ts'

/** Declares a handler of several events at once, for a bus of the direct topology. Fields, defaults and promises are in the definition. */
export function defineBatchHandler(definition: BatchHandlerDefinition): BatchHandlerDefinition {
  return definition
}
