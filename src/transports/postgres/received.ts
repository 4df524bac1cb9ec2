import type { LogEntry } from '../../store/log.ts'
import type { Headers, LogPosition, Received } from '../transport.ts'

/** The bytes of an entry, made once however many groups get it. */
const bodies = new WeakMap<LogEntry, Uint8Array>()

function bodyOf(entry: LogEntry): Uint8Array {
  const known = bodies.get(entry)
  if (known !== undefined) return known
  const made = Buffer.from(entry.dataText)
  bodies.set(entry, made)
  return made
}

/** An entry of the log as a message. */
export function toReceived(entry: LogEntry, deliveries: number): Received {
  const headers: Headers = entry.headers
  const log: LogPosition = entry.position
  return {
    id: entry.id,
    key: entry.subject,
    headers,
    body: bodyOf(entry),
    log,
    topic: 'log',
    at: String(log),
    timeMs: entry.recordedMs,
    sequencedMs: entry.sequencedMs,
    deliveries,
  }
}
