import type { NewEvent } from '../../core/event.ts'
import type { Transport } from '../../transports/transport.ts'
import type { Breaker } from '../breaker.ts'
import type { HandlerLog } from '../handler.ts'
import type { HealthCheck } from '../health-check.ts'
import type { Preparer } from '../prepare.ts'
import type { HandlerMeter } from '../recorder.ts'
import type { Results } from '../results.ts'
import type { Watchdog } from '../watchdog.ts'
import type { DirectConfig } from './direct-config.ts'
import type { DuplicateWindow } from './duplicates.ts'
import type { OneAtATime } from './one-at-a-time.ts'

/** What the attempts of one handler share. */
export interface DirectRuntime {
  readonly config: DirectConfig
  /** Its group on the transport. */
  readonly group: string
  readonly transport: Transport
  readonly preparer: Preparer
  readonly meter: HandlerMeter
  readonly log: HandlerLog
  readonly instance: string
  readonly duplicates: DuplicateWindow
  /** Aborted when the time to drain is over. */
  readonly forced: AbortSignal
  /** Its id, once the broker has it; throws when it does not say so. */
  publish(event: NewEvent): Promise<string>
  /** Of all handlers of the process. */
  readonly suspects: OneAtATime
  /** Sockets, timers and signals get their turn, when they have not had one for a while. */
  breathe(): Promise<void> | undefined
  /** Where handlers are limited over the whole process: a place for one attempt; call what it resolves to when it has ended. */
  enter?(): Promise<() => void>
  /** Of this process alone: there is no store to share its state. */
  readonly breaker: Breaker
  /** Where the handler speaks for itself. */
  readonly check?: HealthCheck
  outcomes(succeeded: number, failed: number): void
  /** Where one watches over the process. */
  readonly watchdog?: Watchdog
  /** Where somebody wants to hear what becomes of events. */
  readonly results?: Results
}
