import { isDeepStrictEqual } from 'node:util'
import { EvtError, toError } from '../core/errors.ts'
import { addCapture, listCaptures } from '../store/capture.ts'
import type { Store } from '../store/connection.ts'
import type { ServiceDefinition } from './define-service.ts'

/** Makes a service's tables and attaches its captures, one process at a time. Safe to run at every start. */
export async function setUpService(store: Store, service: ServiceDefinition): Promise<void> {
  await store.transaction(async (sql) => {
    await sql.query(`select pg_advisory_xact_lock(hashtextextended('evt.service ' || $1, 0))`, [service.name])
    for (const [at, migration] of (service.migrations ?? []).entries()) {
      if (typeof migration !== 'string') throw refused(service.name, at, 'it is no text')
      await sql.query(migration).catch((error: unknown) => {
        throw isItsOwn(error)
          ? refused(service.name, at, `${toError(error).message} in ${startOf(migration)}`, error)
          : error
      })
    }
  })
  if (!service.captures?.length) return
  const attached = (await listCaptures(store)).filter(({ state }) => state === 'active')
  for (const capture of service.captures) {
    if (!attached.some(({ options }) => isDeepStrictEqual(options, capture))) await addCapture(store, capture)
  }
}

const shownCharacters = 80
/** Not what the server or another transaction is guilty of: a connection, a conflict, a limit, a shutdown. */
const notItsOwn = /^(08|40|53|55|57|58)/

const isItsOwn = (error: unknown): boolean =>
  !(error instanceof EvtError) && !notItsOwn.test(String((error as { code?: unknown } | null)?.code))

const refused = (service: string, at: number, reason: string, cause?: unknown) =>
  new EvtError('config', `cannot set up service ${service}: migrations.${at}: ${reason}`, {
    cause,
    hint: 'mend that statement of the service; none of its migrations was kept',
  })

function startOf(statement: string): string {
  const line = statement.trim().replace(/\s+/g, ' ')
  return JSON.stringify(line.length > shownCharacters ? `${line.slice(0, shownCharacters)}…` : line)
}
