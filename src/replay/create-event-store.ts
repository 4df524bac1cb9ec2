import type { Store } from '../store/connection.ts'
import type { EventStore, OpenEventStoreOptions } from './event-store.ts'

export interface EventStoreOptions extends Omit<OpenEventStoreOptions, 'store'> {
  /** `postgres://…`, or an open one, which stays open. */
  readonly store: string | Store
}

/** Subjects as streams of events. Connects on first use; close it. */
export function createEventStore(options: EventStoreOptions): EventStore {
  let opening: Promise<EventStore> | undefined
  // One that failed is tried again by the next call.
  const open = (): Promise<EventStore> => {
    opening ??= import('./event-store.ts')
      .then(({ openEventStore }) => openEventStore(options))
      .catch((error: unknown) => {
        opening = undefined
        throw error
      })
    return opening
  }
  return {
    append: async (...given) => (await open()).append(...given),
    async *readSubject(...given) {
      yield* (await open()).readSubject(...given)
    },
    close: async () => (await opening?.catch(() => undefined))?.close(),
  }
}
