// Room publish: the door through which events get in. Knows the store and contracts; may not know handlers or transports.
import { v7 as uuid7 } from 'uuid'
import { type EncodedEvent, encodeEvent } from '../core/codec.ts'
import { EvtError } from '../core/errors.ts'
import { type EvtEvent, maxDataBytes, type NewEvent } from '../core/event.ts'
import { plainGuard } from '../core/guard.ts'
import { toUtcTime } from '../core/instant.ts'
import type { Registry } from '../core/registry.ts'
import type { Store } from '../store/connection.ts'
import { givenIds, type OutboxOptions, publishEncoded } from '../store/outbox.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import { currentTracing } from '../watch/tracing/current.ts'

export interface PrepareOptions {
  readonly registry: Pick<Registry, 'get' | 'validate' | 'guard'>
  /** What `source` says when an event does not. */
  readonly source: string
  /** Bytes of `data`; default 1 MiB. */
  readonly maxBytes?: number
}

export interface StorePublisherOptions extends PrepareOptions {
  readonly store: Store
}

export interface StorePublisher {
  /**
   * In the caller's transaction: seen if and only if it commits. All or nothing; returns the ids in order. An id that was given is
   * the event's key. Throws `contract`, `unknown-type` or `too-large`, because the transaction must know.
   */
  publish(sql: SqlExecutor, events: readonly NewEvent[], options?: OutboxOptions): Promise<readonly string[]>
  /** In transactions of its own, batch by batch, each all or nothing. Returns the ids of all; throws at the first bad event. */
  publishAll(events: Iterable<NewEvent> | AsyncIterable<NewEvent>, options?: OutboxOptions): Promise<readonly string[]>
}

const batchEvents = 1_000
const batchBytes = 4 * 1024 * 1024

export function createStorePublisher(options: StorePublisherOptions): StorePublisher {
  const prepare = (event: NewEvent): EncodedEvent => prepareEvent(event, options)
  return {
    async publish(sql, events, outbox) {
      await options.registry.guard?.load(events, options.registry.get)
      const encoded = events.map(prepare)
      await publishEncoded(sql, encoded, { keyed: givenIds(events), ...outbox })
      return encoded.map((event) => event.id)
    },
    async publishAll(events, outbox) {
      const ids: string[] = []
      let batch: EncodedEvent[] = []
      let bytes = 0
      let keyed: ReadonlySet<string> = new Set()
      const flush = async (): Promise<void> => {
        await publishEncoded(options.store, batch, { keyed, ...outbox })
        for (const event of batch) ids.push(event.id)
        batch = []
        bytes = 0
      }
      for await (const some of inBatches(events)) {
        await options.registry.guard?.load(some, options.registry.get)
        keyed = givenIds(some)
        for (const event of some) {
          const encoded = prepare(event)
          batch.push(encoded)
          bytes += encoded.dataText.length
          if (bytes >= batchBytes) await flush()
        }
        if (batch.length > 0) await flush()
      }
      return ids
    },
  }
}

async function* inBatches(events: Iterable<NewEvent> | AsyncIterable<NewEvent>): AsyncGenerator<NewEvent[]> {
  let batch: NewEvent[] = []
  for await (const event of events) {
    if (batch.push(event) < batchEvents) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

/** Fills in what evt knows, checks the contract, fixes the bytes and checks their size. */
export function prepareEvent(event: NewEvent, options: PrepareOptions): EncodedEvent {
  return encodeWhole(wholeEvent(event, options), options)
}

/** Fills in what evt knows and checks the contract: all that can be said without a key. */
export function wholeEvent(event: NewEvent, options: PrepareOptions): EvtEvent {
  const whole: EvtEvent = {
    ...event,
    id: event.id ?? uuid7(),
    version: event.version ?? options.registry.get(event.type)?.version ?? 1,
    source: event.source ?? options.source,
    time: event.time ?? new Date().toISOString(),
    priority: event.priority ?? 'normal',
    metadata: event.metadata ?? {},
  }
  if (event.deliverAt !== undefined) assertTime(event.type, event.deliverAt)
  options.registry.validate(whole)
  return whole
}

/** Of a `wholeEvent`: seals it, fixes the bytes and checks their size. */
export function encodeWhole(whole: EvtEvent, options: PrepareOptions): EncodedEvent {
  const traceparent = currentTracing()?.published(whole)
  const guard = options.registry.guard ?? plainGuard
  const given = traceparent === undefined ? whole : { ...whole, traceparent }
  const encoded = encodeEvent(guard.pass(given, options.registry.get(whole.type, whole.version)))
  const limit = options.maxBytes ?? maxDataBytes
  const size = Buffer.byteLength(encoded.dataText)
  if (size <= limit) return encoded
  throw new EvtError('too-large', `cannot publish ${whole.type}: ${size} bytes of data, the limit is ${limit}`, {
    hint: 'put the bulk where handlers can fetch it, and its address into the event',
  })
}

function assertTime(type: string, deliverAt: unknown): void {
  if (typeof deliverAt === 'string' && toUtcTime(deliverAt) !== undefined) return
  throw new EvtError('contract', `cannot publish ${type}: deliverAt is no RFC 3339 time`, {
    hint: 'such as 2027-01-31T08:00:00Z',
  })
}
