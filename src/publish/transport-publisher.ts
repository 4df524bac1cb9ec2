import { encodeAs } from '../core/codec/encode-as.ts'
import type { DialectName } from '../core/codec.ts'
import { EvtError, toError } from '../core/errors.ts'
import type { EvtEvent, NewEvent } from '../core/event.ts'
import type { TopicPlan } from '../core/layout.ts'
import type { Registry } from '../core/registry.ts'
import type { Message, Published, Transport } from '../transports/transport.ts'
import { createOutbound, type Outbound } from './outbound.ts'
import type { PublishOutcome } from './outcome.ts'
import { prepareEvent } from './publisher.ts'

export interface TransportPublisherOptions {
  readonly transport: Pick<Transport, 'publish' | 'ensure'>
  /** Which topic an event goes to; topics of types are made when the first event of a type comes. */
  readonly plan: TopicPlan
  /** Events of its types must fit their contracts; others pass. */
  readonly registry: Pick<Registry, 'get' | 'validate' | 'guard'>
  /** What `source` says when an event does not. */
  readonly source: string
  /** The shape of the bytes; default `cloudevents`, evt's own. */
  readonly dialect?: DialectName | undefined
  /** Everything that was not published, whatever the caller does with the outcome. Must not throw. */
  readonly onError: (error: EvtError, event: NewEvent) => void
  /** Bytes of `data`; default 1 MiB. */
  readonly maxBytes?: number
  /** What may wait for the broker: above it events are refused. Default 100,000 events and 64 MiB. */
  readonly most?: { readonly events?: number; readonly bytes?: number }
  /** How long an event that the broker does not answer is tried; default 30,000. */
  readonly giveUpMs?: number
}

/**
 * Publishes to a transport, outside of any transaction. Keeps the order of each subject, sends what comes together in one batch, and tries
 * again with the same bytes. The wait for an outcome is the backpressure: who does not wait is refused above a bound.
 */
export interface TransportPublisher {
  /** Never throws, never rejects. */
  publish(event: NewEvent): Promise<PublishOutcome>
  /** What waits for an answer. */
  readonly pending: number
  /** Resolves when everything that was published until now has its outcome. */
  flush(): Promise<void>
  /** Flushes; after `graceMs` (default 30,000) the rest is `unknown`. What is published later is refused. Idempotent. */
  close(options?: { readonly graceMs?: number }): Promise<void>
}

export function createTransportPublisher(options: TransportPublisherOptions): TransportPublisher {
  const { transport, plan, registry, onError } = options
  const most = { events: options.most?.events ?? 100_000, bytes: options.most?.bytes ?? 64 * 1024 * 1024 }
  const ending = new AbortController()
  const outbounds = new Map<string, Outbound>()
  const pending = { events: 0, bytes: 0 }
  let closing: Promise<void> | undefined
  const dialect = options.dialect ?? 'cloudevents'
  const preparing = {
    registry: {
      get: registry.get,
      guard: registry.guard,
      validate: (event: EvtEvent) => void (registry.get(event.type) && registry.validate(event)),
    },
    source: options.source,
    ...(options.maxBytes === undefined ? {} : { maxBytes: options.maxBytes }),
  }

  function outboundOf(topic: string): Outbound {
    const known = outbounds.get(topic)
    if (known) return known
    const made = createOutbound({
      transport: plan.fixed ? transport : createdOnUse(transport, plan.lanes),
      topic,
      signal: ending.signal,
      giveUpMs: options.giveUpMs ?? 30_000,
    })
    outbounds.set(topic, made)
    return made
  }

  function send(event: NewEvent): Promise<PublishOutcome> {
    if (closing) throw new EvtError('closed', `cannot publish ${event.type}: the publisher was closed`)
    if (pending.events >= most.events || pending.bytes >= most.bytes) throw full(event.type, pending)
    const { message, type } = messageOf(event, dialect, preparing)
    const bytes = message.body.length
    pending.events += 1
    pending.bytes += bytes
    return new Promise((resolve) => {
      const settle = (result: Published) => {
        pending.events -= 1
        pending.bytes -= bytes
        resolve(outcomeOf(message.id, result))
        if (result.state === 'refused' || result.state === 'unknown') tell(result.error, event)
      }
      outboundOf(plan.topicOf(type)).add({ message, bytes, sinceMs: performance.now(), settle })
    })
  }

  function tell(error: EvtError, event: NewEvent): void {
    try {
      onError(error, event)
    } catch {
      // Whoever listens must not break who publishes.
    }
  }

  const flush = async () => {
    await Promise.all([...outbounds.values()].map((outbound) => outbound.idle()))
  }

  return {
    publish(event) {
      try {
        return send(event)
      } catch (thrown) {
        const error = thrown instanceof EvtError ? thrown : notAnEvent(thrown)
        tell(error, event)
        return Promise.resolve({ state: 'refused', id: idOf(event), error })
      }
    },
    get pending() {
      return pending.events
    },
    flush,
    close({ graceMs = 30_000 } = {}) {
      closing ??= (async () => {
        const overdue = setTimeout(() => ending.abort(new EvtError('closed', 'the publisher was closed')), graceMs)
        await flush()
        clearTimeout(overdue)
      })()
      return closing
    },
  }
}

function messageOf(
  event: NewEvent,
  dialect: DialectName,
  preparing: Parameters<typeof prepareEvent>[1],
): { readonly message: Message; readonly type: string } {
  const encoded = prepareEvent(event, preparing)
  const { id, type, subject } = encoded
  return { message: { id, key: subject ?? null, ...encodeAs(dialect, encoded) }, type }
}

function outcomeOf(id: string, result: Published): PublishOutcome {
  if ('error' in result) return { ...result, id }
  return { state: result.state, id, ...(result.at === undefined ? {} : { at: result.at }) }
}

const idOf = (event: unknown) => {
  const id = (event as { readonly id?: unknown } | null | undefined)?.id
  return typeof id === 'string' ? id : undefined
}

const notAnEvent = (thrown: unknown) =>
  new EvtError('contract', `cannot publish: ${toError(thrown).message}`, { cause: thrown })

function full(type: string, { events }: { readonly events: number }): EvtError {
  return new EvtError('refused', `cannot publish ${type}: ${events} events wait for the broker already`, {
    hint: 'wait for the outcome of what was published before, or publish with publishAll',
  })
}

/** Topics of types that nobody has seen yet are made before their first message. */
function createdOnUse(transport: Pick<Transport, 'publish' | 'ensure'>, lanes: number): Pick<Transport, 'publish'> {
  const made = new Set<string>()
  return {
    async publish(topic, batch, signal) {
      if (!made.has(topic)) {
        await transport.ensure([{ name: topic, lanes }], 'create')
        made.add(topic)
      }
      return transport.publish(topic, batch, signal)
    },
  }
}
