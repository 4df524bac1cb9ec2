import { setTimeout as delay } from 'node:timers/promises'
import { toError } from '../core/errors.ts'
import { redactUrl } from '../core/mask.ts'
import { closeStoreWithin, settlesWithin } from '../store/close-within.ts'
import { openStore, type Store } from '../store/connection.ts'
import { readStoreId } from '../store/identity.ts'
import { createLogReader } from '../store/log.ts'
import { openSinkCursor } from '../store/sinks.ts'
import type { SqlExecutor, Transport } from '../transports/transport.ts'
import type { HeadBell } from './head-bell.ts'
import { createLogPages } from './log-pages.ts'
import { type RelayLog, type RelayRecorder, type SinkMeter, silentSinkMeter } from './relay-recorder.ts'
import { runSink } from './sink.ts'
import type { SinkConfig } from './sink-config.ts'

/** A sink, and how to connect to it; the relay closes what it opens. */
export interface Sink {
  readonly config: SinkConfig
  open(): Promise<Transport>
}

export interface SinksOptions {
  readonly store: Store
  readonly sinks: readonly Sink[]
  readonly instance: string
  readonly epoch: bigint
  readonly bell: HeadBell
  readonly log: RelayLog
  meterOf(name: string): SinkMeter
}

/** How long a batch under way may take when told to stop; what it leaves open is sent again by whoever leads next. */
const lettingGoMs = 1_000
const closingMs = 300
const retryMs = 1_000

/** From now on the log is kept for them, whatever their brokers do: `latest` is where the log ends now. */
export async function declareSinks(sql: SqlExecutor, sinks: readonly Sink[], log: RelayLog): Promise<void> {
  for (const { config } of sinks) {
    const { name, start } = config
    const { isNew, position } = await openSinkCursor(sql, { name, target: redactUrl(config.url), start })
    if (isNew && position > 0n)
      log.info('a sink starts at the end of the log: what is there already is not carried to it', {
        sink: name,
        events: String(position),
        hint: "evt replay --target carries it there; start: 'earliest' does so from the first start on",
      })
  }
}

/** Each sink on its own: one that is dead or slow holds nobody. Ends with `stop`, or each by itself when it is fenced. */
export function startSinks(options: SinksOptions): { stop(): Promise<void> } {
  const stopping = new AbortController()
  const forced = new AbortController()
  const running = run()

  async function run(): Promise<void> {
    while (options.sinks.length > 0 && !stopping.signal.aborted) {
      try {
        await runAll()
      } catch (error) {
        options.log.warn('sinks wait for the store', { error: toError(error).message })
        await delay(retryMs, undefined, { signal: stopping.signal }).catch(() => {})
      }
    }
  }

  async function runAll(): Promise<void> {
    const store = await openStore(options.store.connectionString, { applicationName: 'evt sinks', max: 3 })
    const reader = createLogReader(store)
    try {
      const storeId = await readStoreId(store)
      const readPage = createLogPages(reader, options.bell)
      const shared = { ...options, sql: store, storeId, readPage, stopping: stopping.signal, forced: forced.signal }
      const tasks = options.sinks.map(({ config, open }) =>
        runSink({ ...shared, config, open, meter: options.meterOf(config.name) }),
      )
      await Promise.all(tasks)
    } finally {
      await Promise.all([reader.close(), closeStoreWithin(store, closingMs)])
    }
  }
  return {
    async stop() {
      stopping.abort()
      if (await settlesWithin(running, lettingGoMs)) return
      forced.abort()
      await settlesWithin(running, closingMs)
    },
  }
}

/** A meter for each sink of this process, whoever leads when. */
export function createSinkMeters(recorder: RelayRecorder): (name: string) => SinkMeter {
  const meters = new Map<string, SinkMeter>()
  return (name) => {
    const meter = meters.get(name) ?? recorder.sink?.(name) ?? silentSinkMeter
    meters.set(name, meter)
    return meter
  }
}
