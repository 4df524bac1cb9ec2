import type { EvtEvent } from '../core/event.ts'
import type { Registry } from '../core/registry.ts'
import type { HandlerDefinition } from '../handle/handler.ts'
import { resolveHandler } from '../handle/handler-config.ts'
import { createPreparer } from '../handle/prepare.ts'
import type { LoggedMessages } from '../store/logged-messages.ts'

/** Reads an event of the log again as the saga's handler would get it; undefined when it is gone or nobody can read it. */
export function createEarlyReader(
  logged: Pick<LoggedMessages, 'read'>,
  registry: Registry,
): (handler: HandlerDefinition, position: bigint) => Promise<EvtEvent | undefined> {
  return async (handler, position) => {
    const message = (await logged.read([position])).get(position)
    if (!message) return undefined
    const received = { ...message, topic: 'log', at: String(position), deliveries: 1 }
    const preparer = createPreparer(resolveHandler(handler), registry)
    await preparer.load?.([received])
    const prepared = preparer.prepare(received)
    return prepared.kind === 'event' ? prepared.event : undefined
  }
}
