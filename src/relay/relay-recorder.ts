// Room relay: leads, sequences what was committed, sleeps when there is nothing. Knows the store; may not know handlers
// or transports. This file is what it tells about itself.

export interface RelayRecorder {
  sequenced(events: number): void
  leading(isLeader: boolean): void
}

export interface RelayLog {
  info(message: string, fields?: object): void
  warn(message: string, fields?: object): void
  error(message: string, fields?: object): void
}
