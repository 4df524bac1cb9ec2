import { setTimeout as delay } from 'node:timers/promises'
import { toError } from '../core/errors.ts'
import { closeStoreWithin, settlesWithin } from '../store/close-within.ts'
import { openStore, type Store } from '../store/connection.ts'
import { readStoreId } from '../store/identity.ts'
import type { Transport } from '../transports/transport.ts'
import { type RelayLog, type RelayRecorder, silentSourceMeter } from './relay-recorder.ts'
import type { SealTaken } from './seal-taken.ts'
import type { SinkConfig } from './sink-config.ts'
import { runSource } from './source.ts'
import type { SourceConfig } from './source-config.ts'

/** A source, and how to connect to it; the relay closes what it opens. */
export interface Source {
  readonly config: SourceConfig
  open(): Promise<Transport>
}

export interface SourcesOptions {
  readonly store: Store
  readonly sources: readonly Source[]
  /** Sinks of the same configuration: a topic of theirs is made as theirs, whoever is there first. */
  readonly ours: readonly SinkConfig[]
  readonly instance: string
  readonly recorder: RelayRecorder
  readonly log: RelayLog
  readonly seal?: SealTaken | undefined
  /** Until this process leads, for a source that only the leader may read. */
  leading(source: string): Promise<AbortSignal | undefined>
}

const stoppingMs = 1_500
const closingMs = 300
const retryMs = 1_000

/** Each on its own, whether this process leads or not; those without history only while it leads. */
export function startSources(options: SourcesOptions): { stop(): Promise<void> } {
  const stopping = new AbortController()
  const meters = new Map(
    options.sources.map(({ config: { name } }) => [name, options.recorder.source?.(name) ?? silentSourceMeter]),
  )
  const running = run()

  async function run(): Promise<void> {
    while (options.sources.length > 0 && !stopping.signal.aborted) {
      try {
        await runAll()
      } catch (error) {
        options.log.warn('sources wait for the store', { error: toError(error).message })
        await delay(retryMs, undefined, { signal: stopping.signal }).catch(() => {})
      }
    }
  }

  async function runAll(): Promise<void> {
    const store = await openStore(options.store.connectionString, { applicationName: 'evt sources', max: 4 })
    try {
      const storeId = await readStoreId(store)
      const shared = { ...options, store, storeId, stopping: stopping.signal }
      await Promise.all(
        options.sources.map(({ config, open }) =>
          runSource({
            ...shared,
            config,
            open,
            meter: meters.get(config.name) ?? silentSourceMeter,
            leading: () => options.leading(config.name),
          }),
        ),
      )
    } finally {
      await closeStoreWithin(store, closingMs)
    }
  }

  return {
    async stop() {
      stopping.abort()
      await settlesWithin(running, stoppingMs)
    },
  }
}
