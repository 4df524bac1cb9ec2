// Room relay: leads, sequences what was committed, carries it to sinks, takes foreign traffic in. Knows the store and the
// transport contract; may not know handlers or a transport. This file is what it tells about itself.

export interface RelayRecorder {
  sequenced(events: number): void
  leading(isLeader: boolean): void
  /** Called once for each sink, before its first event. */
  sink?(name: string): SinkMeter
  source?(name: string): SourceMeter
}

/** Calls are synchronous, cheap and never throw. */
export interface SinkMeter {
  /** One event is in the sink, so long after it was sequenced. */
  carried(latencyUs: number): void
  /** It became a dead letter of the sink. */
  dead(): void
  /** It came from this very topic and is not sent back. */
  looped(): void
  /** Everything up to here is done with, of a log that ends at `head`. */
  reached(position: bigint, head: bigint): void
  /** What it waits for; undefined when it goes on. */
  waiting(problem: string | undefined): void
}

export interface SourceMeter {
  taken(events: number): void
  dead(): void
  looped(): void
  waiting(problem: string | undefined): void
}

export interface RelayLog {
  info(message: string, fields?: object): void
  warn(message: string, fields?: object): void
  error(message: string, fields?: object): void
}

export const silentSinkMeter: SinkMeter = { carried() {}, dead() {}, looped() {}, reached() {}, waiting() {} }
export const silentSourceMeter: SourceMeter = { taken() {}, dead() {}, looped() {}, waiting() {} }
