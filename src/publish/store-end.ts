import type { EncodedEvent } from '../core/codec.ts'
import { EvtError, toError } from '../core/errors.ts'
import type { Store } from '../store/connection.ts'
import { isOutage } from '../store/errors.ts'
import { findKnownIds, type KnownId } from '../store/event-keys.ts'
import { publishEncoded } from '../store/outbox.ts'
import { writeRelayDeadLetter } from '../store/relay-dead-letters.ts'
import type { Published } from '../transports/transport.ts'
import { deadMessageOf } from './dead-message.ts'
import type { Outgoing, PublishEnd } from './publish-end.ts'
import type { PrepareOptions } from './publisher.ts'

export interface StoreEndOptions {
  readonly store: Store
  readonly preparing: PrepareOptions
  /** Names who gave an event up. */
  readonly instance: string
}

type Batch = readonly Outgoing<EncodedEvent>[]

/**
 * Writes to the store, each batch in a transaction of its own, under the events' ids as keys: what is tried again after a lost answer is
 * there once. What is refused becomes a dead letter of the store.
 */
export function createStoreEnd({ store, preparing, instance }: StoreEndOptions): PublishEnd<EncodedEvent> {
  /** Bad bytes that only the database notices must not take the others along. */
  async function write(batch: Batch, signal: AbortSignal): Promise<readonly Published[]> {
    const events = batch.map(({ payload }) => payload)
    try {
      await orAborted(publishEncoded(store, events, { keyed: true }), signal)
      return batch.map(() => stored)
    } catch (thrown) {
      if (isOutage(thrown) || signal.aborted) return batch.map(() => unanswered(thrown))
      if (isOfServer(thrown) || batch.length === 1) return batch.map(() => refused(thrown))
      const half = batch.length >> 1
      const first = await write(batch.slice(0, half), signal)
      // What was not answered comes again, and what is behind it in its subject must not be there before it.
      if (first.some(({ state }) => state === 'unknown'))
        return [...first, ...batch.slice(half).map(() => unanswered(thrown))]
      return [...first, ...(await write(batch.slice(half), signal))]
    }
  }

  return {
    holds: true,
    encode: (event) => ({ payload: event, bytes: event.dataText.length + 500 }),
    queueOf: () => store.url,
    async send(_, batch, signal) {
      const asked = batch.filter(({ isForeign, isAgain }) => isForeign || isAgain).map(({ id }) => id)
      const known = await orAborted(findKnownIds(store, asked).catch(unlessAway), signal)
      if (known.size === 0) return write(batch, signal)
      const results = new Map(
        batch.map((outgoing) => [outgoing, known.has(outgoing.id) ? knownAs(outgoing, known) : undefined]),
      )
      const fresh = batch.filter((outgoing) => results.get(outgoing) === undefined)
      const written = fresh.length === 0 ? [] : await write(fresh, signal)
      for (const [at, outgoing] of fresh.entries()) results.set(outgoing, written[at])
      return batch.map((outgoing) => results.get(outgoing) as Published)
    },
    async bury(dead, signal) {
      const message = { ...deadMessageOf(dead, preparing), topic: 'publish', at: '', deliveries: 1 }
      const { code, message: text } = dead.error
      const written = writeRelayDeadLetter(store, {
        by: `publisher:${preparing.source}`,
        message,
        type: dead.event.type,
        reason: 'publish',
        error: { class: dead.error.name, code, message: text },
        instance,
      })
      await orAborted(written, signal)
      return true
    },
  }
}

/** Ours, when it was sent before and the answer was lost. */
function knownAs({ id, payload, isAgain }: Outgoing<EncodedEvent>, known: ReadonlyMap<string, KnownId>): Published {
  if (known.get(id)?.checksum !== payload.checksum) return { state: 'refused', error: otherData(payload.type) }
  return isAgain ? stored : { state: 'duplicate' }
}

/** Who may only publish may not read keys: then the sequencer drops what is there twice. */
function unlessAway(error: unknown): ReadonlyMap<string, KnownId> {
  if (isOutage(error)) throw error
  return new Map()
}

const stored: Published = { state: 'stored' }
const refused = (thrown: unknown): Published => ({ state: 'refused', error: asEvtError(thrown) })
const unanswered = (thrown: unknown): Published => ({ state: 'unknown', error: asEvtError(thrown) })

const otherData = (type: string) =>
  new EvtError('conflict', `cannot publish ${type}: an event of this id is there, with other data`, {
    hint: 'give a new event a new id',
  })

const isOfServer = (error: unknown) =>
  error instanceof EvtError && ['connect', 'timeout', 'closed', 'migrations', 'unsupported'].includes(error.code)

const asEvtError = (thrown: unknown) =>
  thrown instanceof EvtError
    ? thrown
    : new EvtError('contract', `cannot publish: the database refuses it: ${toError(thrown).message}`, { cause: thrown })

/** A connection that never answers must not hold the queue for ever. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(new EvtError('connect', 'cannot publish: the store does not answer'))
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
    work.catch(() => {})
  }
}
