import type { Store } from '../../src/store/connection.ts'

/** As before migration 10: rows of any type, which stores that are older than it still hold. */
export const allowAnyType = (store: Store) => store.query('alter table evt.outbox drop constraint outbox_type')
