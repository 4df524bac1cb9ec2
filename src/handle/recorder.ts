import type { HandlerSample } from '../watch/snapshot.ts'

/** Where one event's time went, microseconds; undefined where the transport does not tell. */
export interface HandledTimes {
  /** One attempt: the handler function alone. */
  readonly runUs: number
  /** Commit of the writer (recorded) → effect committed. */
  readonly endToEndUs: number | undefined
  /** Commit of the writer (recorded) → sequenced. */
  readonly relayUs: number | undefined
  /** Sequenced → taken from the lane. */
  readonly deliverUs: number | undefined
  /** Taken → the handler started. */
  readonly queueUs: number
  /** The handler started → effect committed. */
  readonly handleUs: number
}

/** What one handler of this process reports. Calls are synchronous, cheap and never throw: up to 100,000 a second. */
export interface HandlerMeter {
  /** Messages came from a lane (or from the store, for a retry): `queued` grows. */
  taken(count: number): void
  /** A worker began to work on them: from `queued` to `inFlight`. */
  started(count: number): void
  /** They left the worker, whatever became of them: `inFlight` shrinks. */
  finished(count: number): void
  /** They went back to the lane unstarted (released, lost): `queued` shrinks. */
  returned(count: number): void
  /** One event's effect is committed. `type`: of the event, where it is known. */
  handled(times: HandledTimes, type?: string): void
  /** One attempt threw or timed out. `message` is short and printable. */
  failed(message: string, type?: string): void
  /** An attempt beyond an event's first began. */
  retried(): void
  /** One event became a dead letter. */
  dead(type?: string): void
  /** Recognised by the inbox: not run again. */
  skipped(count: number): void
  paused(state: boolean): void
  /** Its circuit breaker is open. */
  breaker(isOpen: boolean): void
  health(state: HandlerSample['health']): void
  /** What its own check says is wrong; undefined when that succeeds. */
  unhealthy(reason: string | undefined): void
  /** The oldest attempt whose outcome the store refuses to write down, by `performance.now()`; undefined when there is none. */
  unwritten(oldest: Unwritable | undefined): void
  /** It runs here no more. */
  ended(): void
}

export interface Unwritable {
  readonly sinceMs: number
  readonly error: string
}

export interface HandlerIdentity {
  readonly handler: string
  readonly group: string
  readonly priority: string
  readonly concurrency: number
}

/** What the subscriber runtime tells about itself; implemented by `watch/recorder.ts`. */
export interface HandleRecorder {
  /** Called once for each handler, before its first event. */
  handler(identity: HandlerIdentity): HandlerMeter
}
