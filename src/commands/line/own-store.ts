import type { Runtime } from '../runtime.ts'

/** A store that lasts as long as the command: the configured one, or the project's embedded one, started if need be. */
export interface OwnStore {
  /** With the password. */
  readonly url: string
  readonly embedded: boolean
  /** Stops the server if this process started it. */
  stop(): Promise<void>
}

/** An embedded store is migrated; somebody else's is left to `evt migrate up`. */
export async function openOwnStore(runtime: Runtime): Promise<OwnStore> {
  const { value: url } = runtime.config.get('store')
  return url ? { url, embedded: false, stop: async () => {} } : startOwn(runtime)
}

/** The embedded store of the project, whatever is configured. */
export async function startOwn({ cwd, output }: Runtime): Promise<OwnStore> {
  const [{ startEmbedded }, { migrateUp }] = await Promise.all([
    import('../../store/embedded.ts'),
    import('../../store/migrate.ts'),
  ])
  const { url, started, stop } = await startEmbedded(cwd, { log: (message) => output.detail(message) })
  try {
    const applied = await migrateUp(url)
    output.detail(`embedded store ${started ? 'started' : 'found running'}, ${applied.length} migrations applied`)
    return { url, embedded: true, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
