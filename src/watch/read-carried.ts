import type { Store } from '../store/connection.ts'
import type { InstanceSample } from './snapshot.ts'

/** One sink, as the store knows it, whether a bridge runs or not. */
export interface SinkState {
  readonly sink: string
  /** Without a password. */
  readonly target: string
  readonly position: string
  /** Events of the log after the position, wanted or not. */
  readonly lagEvents: number
  /** The leader that has it; null when nobody carries it. */
  readonly carriedBy: string | null
  /** Handlers of a running bridge read it. */
  readonly isRead: boolean
  readonly waitsFor: string | null
}

export interface SourceState {
  readonly source: string
  /** Since the bridges that read it started. */
  readonly taken: number
  readonly readBy: readonly string[]
  readonly waitsFor: string | null
}

/** How far each sink is, also one that nobody carries any more: the log is kept for it. Reads only. */
export async function readSinks(store: Store, instances: readonly InstanceSample[]): Promise<readonly SinkState[]> {
  const { rows } = await store.query(`select name, target, position::text as position,
      greatest(0, coalesce(evt.head(), 0) - position)::float8 as lag from evt.sinks order by name`)
  const alive = instances.filter((one) => one.alive)
  const leader = alive.find((one) => one.leader)
  return (rows as { name: string; target: string; position: string; lag: number }[]).map((row) => {
    const sample = leader?.sinks?.find(({ sink }) => sink === row.name)
    return {
      sink: row.name,
      target: row.target,
      position: row.position,
      lagEvents: row.lag,
      carriedBy: leader && sample ? leader.instance : null,
      isRead: alive.some(({ consumes }) => consumes === row.name),
      waitsFor: sample?.waitsFor ?? null,
    }
  })
}

/** Sources of the bridges that run: where they stand, their brokers know. */
export function sourcesOf(instances: readonly InstanceSample[]): readonly SourceState[] {
  const samples = instances
    .filter(({ alive }) => alive)
    .flatMap(({ instance, sources = [] }) => sources.map((sample) => ({ instance, ...sample })))
  return [...Map.groupBy(samples, ({ source }) => source)].map(([source, own]) => ({
    source,
    taken: own.reduce((total, { taken }) => total + taken, 0),
    readBy: own.map(({ instance }) => instance),
    waitsFor: own.find(({ waitsFor }) => waitsFor !== undefined)?.waitsFor ?? null,
  }))
}
