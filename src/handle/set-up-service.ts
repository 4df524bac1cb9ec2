import { isDeepStrictEqual } from 'node:util'
import { addCapture, listCaptures } from '../store/capture.ts'
import type { Store } from '../store/connection.ts'
import type { ServiceDefinition } from './define-service.ts'

/** Makes a service's tables and attaches its captures, one process at a time. Safe to run at every start. */
export async function setUpService(store: Store, service: ServiceDefinition): Promise<void> {
  await store.transaction(async (sql) => {
    await sql.query(`select pg_advisory_xact_lock(hashtextextended('evt.service ' || $1, 0))`, [service.name])
    for (const migration of service.migrations ?? []) await sql.query(migration)
  })
  if (!service.captures?.length) return
  const attached = (await listCaptures(store)).filter(({ state }) => state === 'active')
  for (const capture of service.captures) {
    if (!attached.some(({ options }) => isDeepStrictEqual(options, capture))) await addCapture(store, capture)
  }
}
