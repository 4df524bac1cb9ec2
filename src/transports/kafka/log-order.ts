import type { LogPosition, Received } from '../transport.ts'
import { type LastLogs, moveOn } from './last-logs.ts'

/** So many messages in a row that come from before the last one: no relay that went back a little. */
export const suspiciousRun = 10_000

/** Which messages of a lane come from before the last one by their log, and how far the settled ones are. */
export interface LogOrder {
  /** False for what a leader of the relay that came back sends again: handlers have seen it. To be asked once for each, in order. */
  isNew(message: Received, offset: bigint): boolean
  /** The last of each log before this offset. */
  before(offset: bigint): LastLogs
  /** Everything before this offset is committed, with these. */
  committed(offset: bigint, logs: LastLogs): void
}

export interface LogOrderOptions {
  /** Where each log that was written here had got to. */
  readonly logs: LastLogs
  /** Called at the `suspiciousRun`th repeated message in a row. */
  onSuspicious(message: Received, last: LogPosition): void
}

export function createLogOrder(options: LogOrderOptions): LogOrder {
  /** Of what was read and is not committed yet. */
  let entries: { readonly offset: bigint; readonly log: LogPosition; readonly logId: string }[] = []
  const last = new Map(options.logs)
  let settled = options.logs
  let repeatedInARow = 0

  return {
    isNew(message, offset) {
      const { log, logId = '' } = message
      if (log === undefined) return true
      const before = last.get(logId)
      if (before === undefined || log > before) {
        moveOn(last, logId, log)
        entries.push({ offset, log, logId })
        repeatedInARow = 0
        return true
      }
      if (++repeatedInARow === suspiciousRun) options.onSuspicious(message, before)
      return false
    },
    before(offset) {
      const logs = new Map(settled)
      for (const entry of entries) {
        if (entry.offset >= offset) break
        moveOn(logs, entry.logId, entry.log)
      }
      return logs
    },
    committed(offset, logs) {
      settled = logs
      const behind = entries.findIndex((entry) => entry.offset >= offset)
      entries = behind < 0 ? [] : entries.slice(behind)
    },
  }
}
