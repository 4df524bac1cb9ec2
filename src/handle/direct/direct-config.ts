// Handlers over a transport with no store: publisher → transport → handlers. Retries are short and stay in the lane, then comes a dead
// letter in the transport: nothing is parked or delayed. May not know the store.
import { EvtError } from '../../core/errors.ts'
import type { EvtEvent } from '../../core/event.ts'
import type { AnyHandlerDefinition, HandlerContext } from '../handler.ts'
import { type HandlerConfig, resolveHandler } from '../handler-config.ts'

/** Of what the stored topology has, a handler without a store takes the call with several events. */
export interface DirectConfig extends Omit<HandlerConfig, 'handle' | 'handleBatch'> {
  handle(events: readonly EvtEvent[], ctx: HandlerContext): Promise<void> | void
}

/** A subject that fails holds a part of its lane: not for longer than this between two attempts. */
const longestRestMs = 5_000
const usualFirstRest = '100ms'

/** Throws EvtError('config') naming the handler and the field; also for what only the stored topology can do. */
export function resolveDirect(definition: AnyHandlerDefinition): DirectConfig {
  const { name, retry } = definition
  if (definition.afterDead === 'block') {
    throw new EvtError(
      'config',
      `cannot use handler ${JSON.stringify(name)}: afterDead is 'block', and without a store nothing can wait for a dead letter`,
      {
        hint: "use afterDead: 'continue', or the stored topology: createBridge({ store: 'postgres://…' })",
      },
    )
  }
  const config = resolveHandler({
    ...definition,
    retry: { ...retry, initial: retry?.initial ?? usualFirstRest },
  })
  return {
    ...config,
    backoff: { ...config.backoff, maxMs: Math.min(config.backoff.maxMs, longestRestMs) },
    handle: config.handleBatch,
  }
}
