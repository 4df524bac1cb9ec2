import type { Store, StoreOptions } from './connection.ts'

export interface OpenStoreOptions extends Partial<StoreOptions> {}

/**
 * One pool of connections for a bridge, publishers and event stores of a program, each of which takes it as `store` and leaves it open: close
 * it after them. Loads the driver. Throws `connect`, `usage` for a URL that is none, `unsupported` for a server before PostgreSQL 14.
 *
 *     const store = await openStore('postgres://…', { max: 20 })
 *     const publisher = createPublisher({ store, registry, source: 'accounts' })
 *     await store.transaction(async (sql) => {
 *       await sql.query('insert into users …')
 *       await publisher.publish(sql, [{ type: 'user.registered', data: { … } }])
 *     })
 */
export async function openStore(url: string, options: OpenStoreOptions = {}): Promise<Store> {
  const { openStore: open } = await import('./connection.ts')
  return open(url, { applicationName: 'evt', ...options })
}
