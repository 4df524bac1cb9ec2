import { toError } from '../core/errors.ts'
import type { Lane, Received } from '../transports/transport.ts'
import type { HandlerRuntime } from './handler-runtime.ts'

/** Never throws: what a lane cannot settle comes again, and the inbox knows it. */
export async function settle(runtime: HandlerRuntime, lane: Lane, done: readonly Received[]): Promise<void> {
  try {
    await lane.settle(done)
  } catch (error) {
    const facts = { handler: runtime.config.name, lane: lane.id, error: toError(error).message }
    runtime.log.warn('cannot settle what is done; it may come again', facts)
  }
}
