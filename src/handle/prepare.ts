import { fromHeaders } from '../core/codec/headers.ts'
import type { EvtEvent } from '../core/event.ts'
import { plainGuard } from '../core/guard.ts'
import { isNewerVersion, type Registry } from '../core/registry.ts'
import { sensitiveFields } from '../core/sensitive-fields.ts'
import { withoutValues } from '../core/without-values.ts'
import type { Received } from '../transports/transport.ts'
import type { ErrorFacts } from './failure.ts'
import type { HandlerConfig } from './handler-config.ts'

/** A message, looked at before its handler runs. */
export type Prepared =
  | { readonly kind: 'event'; readonly event: EvtEvent }
  /** A version that this process does not know yet: it waits for `heldFor`. */
  | { readonly kind: 'held'; readonly heldFor: string }
  /** With the event, as far as it could be read. */
  | { readonly kind: 'bad'; readonly thrown: unknown; readonly event?: EvtEvent }

export interface Preparer {
  prepare(message: Received): Prepared
  /** To be awaited before `prepare`, where it is a promise: keys of what is encrypted. Throws `connect` and `config`. */
  load?(messages: readonly Received[]): Promise<void> | undefined
  /** Whether a `type@version` that was held can be prepared now. */
  isKnown(heldFor: string): boolean
  /** What was thrown, for keeping and logging: without the values of sensitive fields. Errors repeat what they could not use. */
  discreet(facts: ErrorFacts, prepared: Prepared | undefined): ErrorFacts
}

/** Decodes, verifies the checksum, decrypts, up-casts to the version that the handler asks for, validates. Never throws. */
export function createPreparer(config: Pick<HandlerConfig, 'versions'>, registry: Registry): Preparer {
  const guard = registry.guard ?? plainGuard
  const askedFor = (type: string) => config.versions.get(type) ?? registry.get(type)?.version

  function prepare(message: Received): Prepared {
    let event: EvtEvent | undefined
    try {
      event = fromHeaders(message.headers, message.body, { verify: true })
      const contract = registry.get(event.type, event.version)
      if (contract) event = guard.reveal(event, contract)
      const version = askedFor(event.type)
      // A pattern also catches types without a contract: nothing can be said about their data.
      if (version === undefined) return { kind: 'event', event }
      if (event.version > version) return { kind: 'held', heldFor: `${event.type}@${event.version}` }
      if (event.version < version) return { kind: 'event', event: registry.migrate(event, version) }
      registry.validate(event)
      return { kind: 'event', event }
    } catch (thrown) {
      if (isNewerVersion(thrown)) return { kind: 'held', heldFor: `${thrown.cause.type}@${thrown.cause.version}` }
      return event ? { kind: 'bad', thrown, event } : { kind: 'bad', thrown }
    }
  }

  return {
    prepare,
    ...(guard.opens
      ? { load: (messages: readonly Received[]) => guard.loadSealed(messages.map(({ body }) => body)) }
      : {}),
    discreet(facts, prepared) {
      const event = prepared && 'event' in prepared ? prepared.event : undefined
      const contract = event && registry.get(event.type, event.version)
      const fields = contract ? sensitiveFields(contract) : []
      if (!event || fields.length === 0) return facts
      const clean = (text: string) => withoutValues(text, fields, event.data)
      const { class: name, code, message, stack } = facts
      return {
        class: clean(name),
        message: clean(message),
        ...(code === undefined ? {} : { code: clean(code) }),
        ...(stack === undefined ? {} : { stack: clean(stack) }),
      }
    },
    isKnown(heldFor) {
      const at = heldFor.lastIndexOf('@')
      const version = askedFor(heldFor.slice(0, at))
      return version !== undefined && Number(heldFor.slice(at + 1)) <= version
    },
  }
}
