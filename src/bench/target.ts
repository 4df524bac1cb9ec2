import type { EvtError } from '../core/errors.ts'

/** One event as the generator hands it over. */
export interface Outgoing {
  readonly k: number
  readonly key: number
  readonly subject: string
  /** JSON of `data`; its member `k` comes back with the sighting. */
  readonly dataText: string
}

export type PublishState = 'accepted' | 'rejected' | 'unknown'

/** Called once for every k; `reason` says why an event was not accepted. */
export type Settled = (ks: readonly number[], state: PublishState, reason?: string) => void

/**
 * The sending half of a target. Lives in the generator's thread and owns its connections there. Events of one key
 * must take effect in the order of `publish`.
 */
export interface Producer {
  /** Never throws, never waits. Reports every k once: taken durably, refused, or nobody knows. */
  publish(batch: readonly Outgoing[], settled: Settled): void
  /** Settles what is under way, or reports it as unknown. */
  close(): Promise<void>
}

/** A module with `export const connectProducer: ConnectProducer`, loaded by the generator's thread. */
export interface ProducerSource {
  readonly module: string
  /** Plain data or ports; handed to `connectProducer`. */
  readonly options: unknown
  /** Ports among the options that move to the other thread. */
  readonly transfer?: readonly import('node:worker_threads').Transferable[]
}
export type ConnectProducer = (options: never) => Promise<Producer>

/**
 * What the subscribers of a target report, on the main thread. Times are µs on the run's clock. k is below 0 for the
 * probes that prove readiness; those need only `done`.
 */
export interface Sightings {
  /** A handler was entered. `sequencedUs`: when the target's own log had the event, where it has one. */
  started(handler: number, k: number, atUs: number): void
  /** Its effect is committed. */
  done(handler: number, k: number, atUs: number): void
}

/** Where an accepted event is that a handler has not finished. */
export type Whereabouts = 'retrying' | 'dead' | 'open' | 'lost'

/** Evidence that the target itself keeps, beside what the handlers saw. */
export interface TargetEvidence {
  /** Effects that exist more than once. */
  readonly duplicates: number
  /** Effects of one key that stand in another order than they were sent. */
  readonly reordered: number
}

/** Something that takes events and gives them to handlers. `runBench` opens and always closes it. */
export interface BenchTarget {
  /** For the report: `bridge · embedded PostgreSQL 18.4`. */
  readonly label: string
  /** Names of the handlers; a sighting names one by its index. */
  readonly handlers: readonly string[]
  readonly producer: ProducerSource
  /** Attaches the handlers. They need not receive anything yet: a probe finds out. */
  open(sightings: Sightings, clock: () => number): Promise<void>
  /** One answer for each k, in order: where it is now. */
  locate(handler: number, ks: readonly number[]): Promise<readonly Whereabouts[]>
  /** Per handler, once everything is drained. */
  evidence(): Promise<readonly TargetEvidence[]>
  /** When the target's log had event k, µs on the run's clock, for events below `total`; undefined where it has no log. */
  sequenced?(total: number): Promise<Float64Array>
  /** Resolves when the target went away: nothing that is open will be finished, and nobody can be asked. Never rejects. */
  gone?(): Promise<EvtError>
  /** What happened to the target meanwhile that a reader of the figures must know. */
  remarks?(): readonly string[]
  /** Where to look when no probe arrives. */
  readonly hint: string
  /** Facts about the target for the environment line. */
  facts(): Readonly<Record<string, string>>
  /**
   * Detaches and removes everything that the run left behind. Idempotent; also called after a failed `open`. Ends within
   * seconds, also when the target does not answer.
   */
  close(): Promise<void>
}
