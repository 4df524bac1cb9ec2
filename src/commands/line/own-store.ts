import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { EvtError } from '../../core/errors.ts'
import type { Store } from '../../store/connection.ts'
import type { Runtime } from '../runtime.ts'
import { findStore, hasProject, storeUrl, type WithStore, withStore } from './store.ts'

/** A store that lasts as long as the command: the configured one, or the project's embedded one, started if need be. */
export interface OwnStore {
  /** With the password. */
  readonly url: string
  readonly embedded: boolean
  /** Of the embedded one: where its data lies. */
  readonly dataDirectory?: string
  /** Fires when the embedded server has ended by itself. */
  readonly gone?: AbortSignal
  /** Leaves the embedded server; the last evt to leave stops it. */
  stop(): Promise<void>
}

/** An embedded store is migrated; somebody else's is left to `evt migrate up`. */
export async function openOwnStore(runtime: Runtime): Promise<OwnStore> {
  const { value: url, origin } = runtime.config.get('store')
  return url ? { url: storeUrl(url, origin), embedded: false, stop: async () => {} } : startOwn(runtime)
}

/** As `withStore`; starts the embedded store of a project for the command when none is configured and none runs. */
export async function withOwnOrStore<T>(
  runtime: Runtime,
  options: WithStore,
  work: (store: Store) => Promise<T>,
): Promise<T> {
  if ((await findStore(runtime)) || !(await hasProject(runtime.cwd))) return withStore(runtime, options, work)
  const { url, stop } = await startOwn(runtime)
  try {
    return await withStore(runtime, { ...options, url }, work)
  } finally {
    await stop()
  }
}

/** It takes a moment to be sure that a server has ended and is not only being started again. */
const surelyGoneMs = 3_000

/** What to tell for an error: that the server has ended, where that is behind it. */
export async function causeOf(error: unknown, { gone }: Pick<OwnStore, 'gone'>): Promise<unknown> {
  const lost = error instanceof EvtError && error.code === 'connect'
  if (gone && lost && !gone.aborted) await Promise.race([once(gone, 'abort'), delay(surelyGoneMs)])
  return gone?.aborted ? gone.reason : error
}

/** The embedded store of the project, whatever is configured. */
export async function startOwn({ cwd, output }: Runtime): Promise<Required<OwnStore>> {
  const [{ startEmbedded }, { migrateUp }] = await Promise.all([
    import('../../store/embedded.ts'),
    import('../../store/migrate.ts'),
  ])
  const server = await startEmbedded(cwd, { log: (message) => output.detail(message) })
  const { url, started, dataDirectory, gone, stop } = server
  try {
    const applied = await migrateUp(url)
    output.detail(`embedded store ${started ? 'started' : 'found running'}, ${applied.length} migrations applied`)
    return { url, embedded: true, dataDirectory, gone, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
