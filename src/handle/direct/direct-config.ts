// Handlers over a transport with no store: publisher → transport → handlers. Retries are short and stay in the lane, then comes a dead
// letter in the transport: nothing is parked or delayed. May not know the store.
import { EvtError } from '../../core/errors.ts'
import type { EvtEvent } from '../../core/event.ts'
import type { HandlerContext, HandlerDefinition } from '../handler.ts'
import { type HandlerConfig, resolveHandler } from '../handler-config.ts'

/** A handler of several events at once, in the order of one lane. When it fails, it is narrowed down to the guilty events. */
export interface BatchHandlerDefinition extends Omit<HandlerDefinition, 'handle' | 'ordering'> {
  /** Events of one call, at most. */
  readonly batch: number
  // biome-ignore lint/suspicious/noExplicitAny: a handler may list contracts of different payloads
  handle(events: readonly EvtEvent<any>[], ctx: HandlerContext): Promise<void> | void
}

export type DirectDefinition = HandlerDefinition | BatchHandlerDefinition

export interface DirectConfig extends Omit<HandlerConfig, 'handle'> {
  /** Events of one call; 1 for a handler that takes single ones. */
  readonly batch: number
  handle(events: readonly EvtEvent[], ctx: HandlerContext): Promise<void> | void
}

/** A subject that fails holds a part of its lane: not for longer than this between two attempts. */
const longestRestMs = 5_000
const usualFirstRest = '100ms'
const mostOfBatch = 10_000

/** Throws EvtError('config') naming the handler and the field; also for what only the stored topology can do. */
export function resolveDirect(definition: DirectDefinition): DirectConfig {
  const { name, retry } = definition
  const isBatch = 'batch' in definition && definition.batch !== undefined
  const batch = isBatch ? definition.batch : 1
  if (!Number.isInteger(batch) || batch < 1 || batch > mostOfBatch)
    throw new EvtError(
      'config',
      `cannot use handler ${JSON.stringify(name)}: batch is ${batch}, not a whole number from 1 to ${mostOfBatch}`,
    )
  if (definition.afterDead === 'block') {
    throw new EvtError(
      'config',
      `cannot use handler ${JSON.stringify(name)}: afterDead is 'block', and without a store nothing can wait for a dead letter`,
      {
        hint: "use afterDead: 'continue', or the stored topology: createBridge({ store: 'postgres://…' })",
      },
    )
  }
  const single = definition as HandlerDefinition
  const several = definition as BatchHandlerDefinition
  const config = resolveHandler({ ...single, retry: { ...retry, initial: retry?.initial ?? usualFirstRest } })
  return {
    ...config,
    backoff: { ...config.backoff, maxMs: Math.min(config.backoff.maxMs, longestRestMs) },
    batch,
    // As a method of the definition: it may use `this`.
    handle: isBatch
      ? (events, ctx) => several.handle(events, ctx)
      : (events, ctx) => single.handle(events[0] as EvtEvent, ctx),
  }
}
