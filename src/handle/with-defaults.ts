import type { AnyHandlerDefinition } from './handler.ts'
import { isBatchHandler } from './handler-config.ts'

/** What the configuration says of each handler; undefined where it says nothing. */
export interface HandlerDefaults {
  readonly attempts?: number | undefined
  readonly timeout?: string | undefined
  /** No handler takes more at once, whatever it says. */
  readonly most?: number | undefined
}

/** The definition, with what it does not say itself. */
export function withDefaults(definition: AnyHandlerDefinition, defaults: HandlerDefaults): AnyHandlerDefinition {
  const { attempts, timeout, most } = defaults
  if (attempts === undefined && timeout === undefined && most === undefined) return definition
  // A definition may be an object of a class.
  return Object.assign(Object.create(Object.getPrototypeOf(definition)), definition, {
    ...(attempts === undefined ? {} : { retry: { attempts, ...definition.retry } }),
    ...(timeout === undefined ? {} : { timeout: definition.timeout ?? timeout }),
    ...(most === undefined ? {} : bounded(definition, most)),
  })
}

const bounded = (definition: AnyHandlerDefinition, most: number) =>
  isBatchHandler(definition)
    ? { batch: Math.min(definition.batch, most) }
    : { takes: Math.min(definition.takes ?? most, most) }
