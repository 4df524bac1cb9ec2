import { createAccess, isDenied } from '../core/access.ts'
import { parseDuration } from '../core/duration.ts'
import { EvtError } from '../core/errors.ts'
import type { EvtEvent, NewEvent } from '../core/event.ts'
import { createGuard, type Guard } from '../core/guard.ts'
import { compilePatterns } from '../core/pattern.ts'
import type { PrivacyOptions } from '../core/privacy-options.ts'
import { type PublishOptions, resolvePublish } from '../core/publish-options.ts'
import type { Registry } from '../core/registry.ts'
import type { Store } from '../store/connection.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import type { PublisherSample } from '../watch/publisher-sample.ts'
import { openTracing } from '../watch/tracing/current.ts'
import { createOpeningPipeline } from './opening-pipeline.ts'
import type { PublishOutcome } from './outcome.ts'
import { type PublishedAll, publishAll } from './publish-all.ts'
import { createPublishMeter, samplePublisher } from './publish-meter.ts'
import type { StorePublisher } from './publisher.ts'
import { notAnEvent } from './refusals.ts'

export interface PublisherOptions {
  /** A URL, whose connections `close` ends, or an open store, which stays open. Only `publishAll` connects. */
  readonly store: Store | string
  readonly registry: Pick<Registry, 'get' | 'validate' | 'guard'>
  /** Who publishes: what `source` says when an event does not. */
  readonly source: string
  /** Patterns of the types that it may publish; another one is refused, and written down. Default: everything. */
  readonly publishes?: readonly string[]
  /** Keys for what contracts encrypt: kept in the store, and read there when the first such event is published. */
  readonly privacy?: PrivacyOptions
  /** Patterns of types whose draft contracts may be published. */
  readonly drafts?: readonly string[]
  /** How `send` and `sendAll` work: batches, rate, duplicates, order, bounds. */
  readonly settings?: PublishOptions
  /** Everything that `send` and `sendAll` did not publish, whatever is done with the outcome. */
  readonly onError?: (error: EvtError, event: NewEvent) => void
}

/** For applications: loads the driver at the first use. */
export interface Publisher {
  /**
   * In the caller's transaction (`{ query(text, values) }`, as `pg` has it): seen if and only if it commits. Returns the
   * ids. Throws `contract`, `unknown-type` or `too-large`; `refused` for a type that it may not publish and for a draft.
   */
  publish(sql: SqlExecutor, events: readonly NewEvent[]): Promise<readonly EvtEvent['id'][]>
  /** In transactions of its own, batch by batch. Throws `connect` too. */
  publishAll(events: Iterable<NewEvent> | AsyncIterable<NewEvent>): Promise<readonly EvtEvent['id'][]>
  /**
   * Outside of any transaction, in batches with others: resolves to what became of it when the store has it, or has refused it; never throws,
   * never rejects. A subject's events keep their order. What is refused for its own sake becomes a dead letter of the store. Waiting for
   * outcomes is the backpressure: above 100,000 events or 64 MiB that wait, further ones are refused.
   */
  send(event: NewEvent): Promise<PublishOutcome>
  /** All of them, pulled as the store takes them; how many it has, and the outcomes of the others. */
  sendAll(events: Iterable<NewEvent> | AsyncIterable<NewEvent>): Promise<PublishedAll>
  /** Resolves when everything that was sent until now has its outcome. */
  flush(): Promise<void>
  /** Of `send` and `sendAll`, since the start. */
  stats(): PublisherSample
  /** Flushes what was sent; after the grace, default '30s', the rest is refused or unknown. Idempotent. */
  close(options?: { readonly grace?: string }): Promise<void>
}

export function createPublisher(options: PublisherOptions): Publisher {
  let opened: Promise<{ readonly store: Store; readonly publisher: StorePublisher }> | undefined
  let guarding: Promise<Guard> | undefined
  const access = createAccess({ name: options.source, publishes: options.publishes })
  const open = async () => {
    const { createStorePublisher } = await import('./publisher.ts')
    const store = typeof options.store === 'string' ? await connect(options.store, options.source) : options.store
    return { store, publisher: createStorePublisher({ ...(await checked()), store }) }
  }
  const openGuard = async () => {
    const { openKeyring } = await import('../store/open-keyring.ts')
    const sql: SqlExecutor = { query: async (text, values) => (await demand()).store.query(text, values) }
    const keyring = await openKeyring(sql, options.privacy)
    return createGuard({ keyring, drafts: compilePatterns(options.drafts ?? []) })
  }
  const checked = async () => {
    await openTracing(undefined)
    guarding ??= openGuard()
    const { get, validate } = options.registry
    return { ...options, registry: { get, validate, guard: options.registry.guard ?? (await guarding) } }
  }
  const allowed = async (type: string) => {
    try {
      access?.assertPublish(type)
    } catch (error) {
      const { noteDenied } = await import('../store/access.ts')
      const { store } = await demand()
      if (isDenied(error)) await noteDenied(store, { ...error.cause, target: type, reason: error.message, times: 1 })
      throw error
    }
  }
  async function* allowedOnly(events: Iterable<NewEvent> | AsyncIterable<NewEvent>) {
    for await (const event of events) {
      await allowed(event.type)
      yield event
    }
  }
  const meter = createPublishMeter()
  const config = resolvePublish(options.settings)
  const onError = options.onError ?? (() => {})
  const openPipeline = async () => {
    const { createPipeline } = await import('./pipeline.ts')
    const { createStoreEnd } = await import('./store-end.ts')
    const { store } = await demand()
    const preparing = await checked()
    const end = createStoreEnd({ store, preparing, instance: options.source })
    return createPipeline({ end, preparing, config, meter, onError })
  }
  const pipeline = createOpeningPipeline({ open: openPipeline, config, onError })
  const send = (event: NewEvent): Promise<PublishOutcome> => {
    if (!access) return pipeline.publish(event)
    try {
      access.assertPublish(event.type)
    } catch (error) {
      return refuseDenied(event, error)
    }
    return pipeline.publish(event)
  }
  const refuseDenied = async (event: NewEvent, thrown: unknown): Promise<PublishOutcome> => {
    const error = thrown instanceof EvtError ? thrown : notAnEvent(thrown)
    if (isDenied(error)) await allowed(event.type).catch(() => {})
    meter.refused += 1
    try {
      onError(error, event)
    } catch {
      // Whoever listens must not break who publishes.
    }
    return { state: 'refused', id: event?.id, error }
  }
  const demand = () => {
    opened ??= open().catch((error: unknown) => {
      opened = undefined
      throw error
    })
    return opened
  }
  return {
    async publish(sql, events) {
      const { prepareEvent } = await import('./publisher.ts')
      const { publishEncoded } = await import('../store/outbox.ts')
      if (access) for (const { type } of events) await allowed(type)
      const own = await checked()
      await own.registry.guard.load(events, own.registry.get)
      const encoded = events.map((event) => prepareEvent(event, own))
      await publishEncoded(sql, encoded)
      return encoded.map(({ id }) => id)
    },
    publishAll: async (events) => (await demand()).publisher.publishAll(access ? allowedOnly(events) : events),
    send,
    sendAll: (events) => publishAll(events, send),
    flush: pipeline.flush,
    stats: () => samplePublisher(options.source, meter),
    async close({ grace = '30s' } = {}) {
      await pipeline.close({ graceMs: parseDuration(grace) })
      const known = await opened?.catch(() => undefined)
      if (known && typeof options.store === 'string') await known.store.close()
    },
  }
}

async function connect(url: string, source: string): Promise<Store> {
  const { openStore } = await import('../store/connection.ts')
  return openStore(url, { applicationName: `evt publisher ${source}`, max: 4 })
}
