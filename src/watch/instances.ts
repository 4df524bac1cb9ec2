import { hostname } from 'node:os'
import type { Store } from '../store/connection.ts'
import type { Recorder } from './recorder.ts'
import type { InstanceSample } from './snapshot.ts'

/** A bridge says what it does once a second; readers hold it for dead after three beats. */
export const beatMs = 1000
export const deadAfterMs = 3 * beatMs
/** Dead bridges stay visible for a while, with their last word. */
const forgetAfter = '1 hour'

/** All that the row itself does not say. */
type Beat = Pick<
  InstanceSample,
  'handlers' | 'sinks' | 'sources' | 'consumes' | 'stages' | 'sequenced' | 'rssBytes' | 'cpu'
>

export interface InstanceRegistryOptions {
  readonly store: Store
  readonly recorder: Recorder
  /** Unique among running bridges. */
  readonly instance: string
  readonly roles: readonly string[]
  readonly version: string
  /** The sink that its handlers read in place of the log. */
  readonly consumes?: string | undefined
  /** With each beat while bridges are asked for a profile. */
  onAsked?(): void
  /** A beat that failed; the next one is tried all the same. */
  onError(error: unknown): void
}

export interface InstanceRegistry {
  /** Resolves after the first beat is stored. */
  start(): Promise<void>
  /** Stores a last beat and marks the instance as stopped. */
  stop(): Promise<void>
}

const write = `insert into evt.instances as known (instance, host, pid, version, roles, leader, started_at, sample)
  values ($1, $2, $3, $4, $5, $6, $7, $8)
  on conflict (instance) do update set leader = excluded.leader, sample = excluded.sample, beat_at = clock_timestamp()
  returning exists (select from evt.profile_requests where until > clock_timestamp()) as asked`

export function createInstanceRegistry(options: InstanceRegistryOptions): InstanceRegistry {
  const { store, recorder, instance } = options
  const startedAt = new Date().toISOString()
  let cpu = process.cpuUsage()
  let cpuAt = performance.now()
  let timer: NodeJS.Timeout | undefined
  let beating: Promise<void> = Promise.resolve()

  function cpuShare(): number {
    const used = process.cpuUsage(cpu)
    const elapsedUs = (performance.now() - cpuAt) * 1000
    cpu = process.cpuUsage()
    cpuAt = performance.now()
    return elapsedUs > 0 ? (used.user + used.system) / elapsedUs : 0
  }

  async function beat(): Promise<void> {
    const recorded = recorder.sample()
    const sample: Beat = {
      handlers: recorded.handlers,
      sinks: recorded.sinks,
      sources: recorded.sources,
      ...(options.consumes === undefined ? {} : { consumes: options.consumes }),
      stages: recorded.stages,
      sequenced: recorded.sequenced,
      rssBytes: process.memoryUsage.rss(),
      cpu: cpuShare(),
    }
    const row = [instance, hostname(), process.pid, options.version, options.roles, recorded.leader, startedAt]
    const { rows } = await store.query(write, [...row, JSON.stringify(sample)])
    if (rows[0]?.asked) options.onAsked?.()
  }

  // One beat at a time: while Postgres is away they must not pile up.
  function schedule(): void {
    timer = setTimeout(() => {
      beating = beat()
        .catch(options.onError)
        .finally(() => timer && schedule())
    }, beatMs)
  }

  return {
    async start() {
      await store.query(`delete from evt.instances where beat_at < clock_timestamp() - $1::interval`, [forgetAfter])
      await beat()
      schedule()
    },
    async stop() {
      clearTimeout(timer)
      timer = undefined
      await beating
      await beat().catch(options.onError)
      await store
        .query(`update evt.instances set stopped_at = clock_timestamp(), leader = false where instance = $1`, [
          instance,
        ])
        .catch(options.onError)
    },
  }
}
