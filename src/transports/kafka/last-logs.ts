import type { LogPosition } from '../transport.ts'

/** The last position by log; '' for messages that do not say which log theirs is of. The one that moved last comes last. */
export type LastLogs = ReadonlyMap<string, LogPosition>

/** Of more logs on one topic than this, what is repeated may be handed out again. */
export const maxLogs = 8

/** Moves one log on; the log that moved least recently is forgotten when there are too many. */
export function moveOn(logs: Map<string, LogPosition>, id: string, position: LogPosition): void {
  if (logs.size > 1) logs.delete(id)
  logs.set(id, position)
  if (logs.size <= maxLogs) return
  for (const oldest of logs.keys()) {
    logs.delete(oldest)
    return
  }
}
