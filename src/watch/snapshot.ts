// Room watch: what a running bridge tells about itself, and how several of them are added up. Writes to the store's
// instance registry; may not change what it watches.

import type { HandlerState } from '../store/handler-states.ts'

/** One process's view of one handler since that process started. Cumulative: a reader subtracts two of them. */
export interface HandlerSample {
  readonly handler: string
  readonly group: string
  readonly priority: string
  readonly concurrency: number
  /** Events whose effect is committed. */
  readonly handled: number
  /** Attempts that threw or timed out. */
  readonly failed: number
  /** Attempts beyond the first. */
  readonly retried: number
  readonly dead: number
  /** Recognised by the inbox: not run again. */
  readonly skipped: number
  readonly inFlight: number
  /** Taken from the lane, not started. */
  readonly queued: number
  readonly paused: boolean
  /** Its circuit breaker is open: it waits. Absent where an older bridge speaks. */
  readonly broken?: boolean
  readonly health: 'healthy' | 'degraded' | 'failing'
  /** What its own check says is wrong: it waits. Or that the store refuses for long to note what became of an event. */
  readonly unhealthy?: string
  /** For how long the store has refused so; absent when it does not. */
  readonly stuckMs?: number
  readonly lastError?: string
  /** Encoded histograms, microseconds: one attempt's run time, and commit (recorded) to handled. */
  readonly runTime: string
  readonly endToEnd: string
}

/** One sink, of the process that leads. Cumulative since that process started. */
export interface SinkSample {
  readonly sink: string
  readonly carried: number
  /** Refused by the sink for good. */
  readonly dead: number
  /** Came from that very topic and were not sent back. */
  readonly looped: number
  readonly position: string
  /** Events of the log after the position, wanted or not. */
  readonly lagEvents: number
  /** Encoded histogram, microseconds: sequenced → in the sink. */
  readonly latency: string
  readonly waitsFor?: string
}

export interface SourceSample {
  readonly source: string
  readonly taken: number
  /** Could not be stored. */
  readonly dead: number
  /** This store had published them itself. */
  readonly looped: number
  readonly waitsFor?: string
}

/** What one bridge process last said. Dead when `ageMs` passes three beats; one that stopped in order is not listed. */
export interface InstanceSample {
  readonly instance: string
  readonly host: string
  readonly pid: number
  readonly version: string
  readonly roles: readonly string[]
  readonly leader: boolean
  readonly startedAt: string
  readonly ageMs: number
  readonly alive: boolean
  readonly handlers: readonly HandlerSample[]
  /** Of one that is dead: handlers and roles that another bridge has had for half a minute since then. */
  readonly takenOver?: readonly string[]
  /** Encoded histograms, microseconds: commit → sequenced, sequenced → taken, taken → started, started → handled. */
  readonly stages: { readonly relay: string; readonly deliver: string; readonly queue: string; readonly handle: string }
  /** Events that this instance sequenced as the leader. */
  readonly sequenced: number
  /** Absent where an older bridge speaks. */
  readonly sinks?: readonly SinkSample[]
  readonly sources?: readonly SourceSample[]
  /** The sink that its handlers read in place of the log. */
  readonly consumes?: string
  readonly rssBytes: number
  /** Share of one core since the last sample. */
  readonly cpu: number
}

export interface HandlerBacklog {
  readonly handler: string
  /**
   * Events of the log, wanted or not, that its lanes have still to pass; estimated from the positions of the lanes.
   * Events of the last two seconds do not count: bridges write their positions once a second.
   */
  readonly lagEvents: number
  readonly oldestAgeMs: number | null
  /** Deliveries that failed, or wait behind one that did. */
  readonly retrying: number
  readonly parkedSubjects: number
}

export interface DeadLetterCause {
  readonly cause: string
  readonly handler: string
  readonly type: string
  readonly error: string
  readonly count: number
  readonly firstAt: string
  readonly lastAt: string
  readonly sampleId: string
}

/** A handler that does not run, and why. */
export interface StoppedHandler {
  readonly handler: string
  /** No bridge alive has it · an operator paused it · its circuit breaker is open · its own check fails, or the store refuses for long what it writes, in one bridge at least. The first that is so. */
  readonly state: 'nobody' | 'paused' | 'broken' | 'unhealthy'
  readonly pause: HandlerState['pause']
  readonly breaker: HandlerState['breaker']
  /** What its own check says, or the store. */
  readonly unhealthy: string | null
}

/** Everything the dashboard shows of one moment; made by `readSnapshot`. */
export interface Snapshot {
  readonly takenAt: string
  /** Monotonic, ms: for rates between two snapshots. */
  readonly clockMs: number
  readonly store: { readonly host: string; readonly database: string; readonly serverVersion: string }
  /** Pending: committed and without a position; counted up to 100,000. */
  readonly head: { readonly position: string; readonly outboxPending: number; readonly oldestPendingMs: number | null }
  readonly instances: readonly InstanceSample[]
  readonly backlog: readonly HandlerBacklog[]
  /** By name. */
  readonly stopped: readonly StoppedHandler[]
  readonly dead: { readonly open: number; readonly causes: readonly DeadLetterCause[] }
}
