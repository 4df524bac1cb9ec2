import { createAccess, isDenied } from '../core/access.ts'
import type { EvtError } from '../core/errors.ts'
import type { EvtEvent, NewEvent } from '../core/event.ts'
import { createGuard, type Guard } from '../core/guard.ts'
import { compilePatterns } from '../core/pattern.ts'
import type { PrivacyOptions } from '../core/privacy-options.ts'
import type { Registry } from '../core/registry.ts'
import type { Store } from '../store/connection.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import { openTracing } from '../watch/tracing/current.ts'
import type { StorePublisher } from './publisher.ts'
import { createSending, type OpenPipelineOptions, type Sending, type SendingOptions } from './sending.ts'

export interface PublisherOptions extends SendingOptions {
  /** A URL, whose connections `close` ends, or an open store, which stays open. Only `publishAll` and `send` connect. */
  readonly store: Store | string
  /** An event of a type that it does not know is refused. */
  readonly registry: Pick<Registry, 'get' | 'validate' | 'guard'>
  /** Keys for what contracts encrypt: kept in the store, and read there when the first such event is published. */
  readonly privacy?: PrivacyOptions
}

/** For applications: loads the driver at the first use. */
export interface Publisher extends Sending {
  /**
   * In the caller's transaction (`{ query(text, values) }`, as `pg` has it): seen if and only if it commits. Returns the
   * ids. Of an id that was given the first bytes count: the same ones again are dropped, others are kept in `evt.refused` and alarmed.
   * Throws `contract`, `unknown-type` or `too-large`; `refused` for a type that it may not publish and for a draft.
   */
  publish(sql: SqlExecutor, events: readonly NewEvent[]): Promise<readonly EvtEvent['id'][]>
  /** In transactions of its own, batch by batch. Throws `connect` too. */
  publishAll(events: Iterable<NewEvent> | AsyncIterable<NewEvent>): Promise<readonly EvtEvent['id'][]>
}

export function createPublisherToStore(options: PublisherOptions): Publisher {
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
  const denied = async (error: EvtError, type: string) => {
    if (!isDenied(error)) return
    const { noteDenied } = await import('../store/access.ts')
    const { store } = await demand()
    await noteDenied(store, { ...error.cause, target: type, reason: error.message, times: 1 })
  }
  const allowed = async (type: string) => {
    try {
      access?.assertPublish(type)
    } catch (error) {
      await denied(error as EvtError, type)
      throw error
    }
  }
  async function* allowedOnly(events: Iterable<NewEvent> | AsyncIterable<NewEvent>) {
    for await (const event of events) {
      await allowed(event.type)
      yield event
    }
  }
  const openPipeline = async ({ config, meter, onError }: OpenPipelineOptions) => {
    const { createPipeline } = await import('./pipeline.ts')
    const { createStoreEnd } = await import('./store-end.ts')
    const { store } = await demand()
    const preparing = await checked()
    const end = createStoreEnd({ store, preparing, instance: options.source })
    return createPipeline({ end, preparing, config, meter, onError })
  }
  const demand = () => {
    opened ??= open().catch((error: unknown) => {
      opened = undefined
      throw error
    })
    return opened
  }
  const release = async () => {
    const known = await opened?.catch(() => undefined)
    if (known && typeof options.store === 'string') await known.store.close()
  }
  return {
    ...createSending(options, { open: openPipeline, denied, release }),
    async publish(sql, events) {
      const { prepareEvent } = await import('./publisher.ts')
      const { givenIds, publishEncoded } = await import('../store/outbox.ts')
      if (access) for (const { type } of events) await allowed(type)
      const own = await checked()
      await own.registry.guard.load(events, own.registry.get)
      const encoded = events.map((event) => prepareEvent(event, own))
      await publishEncoded(sql, encoded, { keyed: givenIds(events) })
      return encoded.map(({ id }) => id)
    },
    publishAll: async (events) => (await demand()).publisher.publishAll(access ? allowedOnly(events) : events),
  }
}

async function connect(url: string, source: string): Promise<Store> {
  const { openStore } = await import('../store/connection.ts')
  return openStore(url, { applicationName: `evt publisher ${source}`, max: 4 })
}
