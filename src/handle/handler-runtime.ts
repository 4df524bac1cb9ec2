import type { NewEvent, Priority } from '../core/event.ts'
import type { Store } from '../store/connection.ts'
import type { Session } from '../store/sessions.ts'
import type { SqlExecutor, Transport } from '../transports/transport.ts'
import type { Breaker } from './breaker.ts'
import type { HandlerLog } from './handler.ts'
import type { HandlerConfig } from './handler-config.ts'
import type { HealthCheck } from './health-check.ts'
import type { DueJob, OwnedLane } from './item.ts'
import type { Pace } from './pace.ts'
import type { Preparer } from './prepare.ts'
import type { HandlerMeter } from './recorder.ts'
import type { Results } from './results.ts'
import type { Unwritten } from './unwritten.ts'
import type { Watchdog } from './watchdog.ts'

/** What the workers of one handler share. */
export interface HandlerRuntime {
  readonly config: HandlerConfig
  readonly store: Store
  readonly transport: Transport
  readonly preparer: Preparer
  readonly meter: HandlerMeter
  readonly log: HandlerLog
  readonly instance: string
  readonly pace: Pace
  /** Aborted when the time to drain is over. */
  readonly forced: AbortSignal
  /** A connection in the order of priorities, by default the handler's; `leave` when it is released or terminated. */
  openSession(priority?: Priority): Promise<{ readonly session: Session; readonly leave: () => void }>
  /** Where handlers are limited over the whole process: a place for one that needs no connection. */
  enter?(): Promise<() => void>
  /** Writes events in the caller's transaction; their ids. */
  publish(sql: SqlExecutor, events: readonly NewEvent[]): Promise<readonly string[]>
  /** Something of a lane is due after `delayMs`. */
  schedule(owned: OwnedLane, job: DueJob, delayMs: number): void
  /** Resolves when the store answers again, or at a forced stop. */
  storeIsBack(): Promise<void>
  readonly breaker: Breaker
  /** Where the handler speaks for itself. */
  readonly check?: HealthCheck
  /** Where one watches over the process. */
  readonly watchdog?: Watchdog
  outcomes(succeeded: number, failed: number): void
  readonly unwritten: Unwritten
  /** Where somebody wants to hear what becomes of events. */
  readonly results?: Results
}
