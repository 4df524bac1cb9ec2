/** An entry of the log, as far as somebody chooses by it. */
export interface HistoryEntry {
  readonly position: bigint
  readonly id: string
  readonly type: string
  readonly subject: string | null
  readonly headers: Readonly<Record<string, string>>
  readonly dataText: string
  /** When it was written, ms since the epoch. */
  readonly recordedMs: number
}

/** A part of the log: what `wants` refuses is passed over, and behind `upTo` nothing comes. */
export interface History {
  readonly upTo: bigint
  wants(entry: HistoryEntry): boolean
}
