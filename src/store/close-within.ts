import type { Socket } from 'node:net'
import type pg from 'pg'
import type { Store } from './connection.ts'

/** What pg has and its types do not say. */
type OpenClient = pg.Client & { readonly connection: { readonly stream: Socket } }
type OpenPool = pg.Pool & { readonly _clients: readonly OpenClient[] }

/**
 * Closes a store whose server may not answer: waits at most `withinMs` for what runs, then cuts its connections, so that those who
 * wait for an answer get an error. A connection that still says goodbye keeps no process alive. Never throws.
 */
export async function closeStoreWithin(store: Store, withinMs: number): Promise<void> {
  const clients = [...(store.pool as OpenPool)._clients]
  const closed = store.close().catch(() => {})
  if (await settlesWithin(closed, withinMs)) for (const client of clients) client.connection.stream.unref()
  else for (const client of clients) client.connection.stream.destroy()
}

/** The same for a single connection. */
export async function endClientWithin(client: pg.Client, withinMs: number): Promise<void> {
  const ended = client.end().catch(() => {})
  if (!(await settlesWithin(ended, withinMs))) (client as OpenClient).connection.stream.destroy()
}

/** False when it has neither resolved nor rejected within the time. Never throws. */
export async function settlesWithin(work: Promise<unknown> | undefined, withinMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, withinMs), false)
  })
  const settled = (async () => work)().then(
    () => true,
    () => true,
  )
  return Promise.race([settled, late]).finally(() => clearTimeout(timer))
}
