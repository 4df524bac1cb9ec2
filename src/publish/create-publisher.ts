import type { EvtEvent, NewEvent } from '../core/event.ts'
import type { Registry } from '../core/registry.ts'
import type { Store } from '../store/connection.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import type { StorePublisher } from './publisher.ts'

export interface PublisherOptions {
  /** A URL, whose connections `close` ends, or an open store, which stays open. Only `publishAll` connects. */
  readonly store: Store | string
  readonly registry: Pick<Registry, 'get' | 'validate' | 'guard'>
  /** Who publishes: what `source` says when an event does not. */
  readonly source: string
}

/** For applications: loads the driver at the first use. */
export interface Publisher {
  /**
   * In the caller's transaction (`{ query(text, values) }`, as `pg` has it): seen if and only if it commits. Returns the
   * ids. Throws `contract`, `unknown-type` or `too-large`.
   */
  publish(sql: SqlExecutor, events: readonly NewEvent[]): Promise<readonly EvtEvent['id'][]>
  /** In transactions of its own, batch by batch. Throws `connect` too. */
  publishAll(events: Iterable<NewEvent> | AsyncIterable<NewEvent>): Promise<readonly EvtEvent['id'][]>
  close(): Promise<void>
}

export function createPublisher(options: PublisherOptions): Publisher {
  let opened: Promise<{ readonly store: Store; readonly publisher: StorePublisher }> | undefined
  const open = async () => {
    const { createStorePublisher } = await import('./publisher.ts')
    const store = typeof options.store === 'string' ? await connect(options.store, options.source) : options.store
    return { store, publisher: createStorePublisher({ ...options, store }) }
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
      await options.registry.guard?.load(events, options.registry.get)
      const encoded = events.map((event) => prepareEvent(event, options))
      await publishEncoded(sql, encoded)
      return encoded.map(({ id }) => id)
    },
    publishAll: async (events) => (await demand()).publisher.publishAll(events),
    async close() {
      const known = await opened?.catch(() => undefined)
      if (known && typeof options.store === 'string') await known.store.close()
    },
  }
}

async function connect(url: string, source: string): Promise<Store> {
  const { openStore } = await import('../store/connection.ts')
  return openStore(url, { applicationName: `evt publisher ${source}`, max: 4 })
}
