import type { LogEntry } from '../../store/log.ts'
import type { Headers, LogPosition, Received } from '../transport.ts'

/** The bytes of an entry, made once however many groups get it; kept on the entry, because a WeakMap costs more than the bytes. */
const body = Symbol('body')
interface Read extends LogEntry {
  [body]?: Uint8Array
}

function bodyOf(entry: Read): Uint8Array {
  entry[body] ??= Buffer.from(entry.dataText)
  return entry[body]
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
