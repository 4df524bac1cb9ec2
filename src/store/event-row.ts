import { isMetadataValue, type Metadata } from '../core/codec/attributes.ts'
import { toHeaders } from '../core/codec.ts'
import type { Priority } from '../core/event.ts'
import type { Headers } from '../transports/transport.ts'

/** One committed event as the store's readers hand it out: `data` as the text that was written. */
export interface StoredEvent {
  readonly id: string
  readonly type: string
  readonly subject: string | null
  /** CloudEvents, binary mode. */
  readonly headers: Headers
  readonly dataText: string
  /** When the writer's transaction inserted it, ms since the epoch. */
  readonly recordedMs: number
  readonly class: string
  /** What the publisher wrote, for readers that need no headers. */
  readonly priority: Priority
}

/** Columns of an outbox partition `o`, in the order that `storedEvent` reads. All arrive as text. */
export const eventColumns = `o.id, o.type, o.subject, o.data, date_part('epoch', o.recorded_at) * 1000, o.class, o.priority,
  o.version, o.source, o.time, o.sequence, o.tenant, o.correlation_id, o.causation_id, o.traceparent, o.user_id,
  o.session_id, o.metadata, o.checksum`

/** A row read with `rowMode: 'array'`, text as the server sent it, time zone UTC. */
export type TextRow = readonly (string | null)[]

/**
 * Never throws: SQL may have written what no event may be, and one row must not stop a reader. What does not fit is carried as
 * it is, so that decoding the headers fails for this event alone.
 */
export function storedEvent(row: TextRow, at: number): StoredEvent {
  const text = (column: number): string => row[at + column] as string
  const maybe = (column: number): string | undefined => row[at + column] ?? undefined
  const sequence = maybe(10)
  const userId = maybe(15)
  const sessionId = maybe(16)
  const metadataText = maybe(17)
  const metadata = metadataText === undefined ? {} : flatMetadata(metadataText)
  const headers = toHeaders({
    id: text(0),
    type: text(1),
    source: text(8),
    version: Number(text(7)),
    time: rfc3339(text(9)),
    priority: text(6) as Priority,
    metadata: metadata ?? {},
    ...optional('subject', maybe(2)),
    ...(sequence === undefined ? {} : { sequence: Number(sequence) }),
    ...optional('tenant', maybe(11)),
    ...optional('correlationId', maybe(12)),
    ...optional('causationId', maybe(13)),
    ...optional('traceparent', maybe(14)),
    ...(userId === undefined && sessionId === undefined
      ? {}
      : { actor: { ...optional('userId', userId), ...optional('sessionId', sessionId) } }),
    ...optional('checksum', maybe(18)),
  })
  // Of a bigint that SQL wrote a number would change the last digits.
  const isExact = sequence === undefined || Number.isSafeInteger(Number(sequence))
  const exact = isExact ? headers : { ...headers, 'ce-sequence': sequence }
  return {
    id: text(0),
    type: text(1),
    subject: row[at + 2] ?? null,
    headers: metadata ? exact : { ...exact, 'ce-evtmetadata': encodeURIComponent(metadataText ?? '') },
    dataText: text(3),
    recordedMs: timeMs(text(4)),
    class: text(5),
    priority: text(6) as Priority,
  }
}

/** JSON's null says nothing, as SQL's does. Undefined for what is no flat object. */
function flatMetadata(text: string): Metadata | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    if (parsed === null) return {}
    if (typeof parsed !== 'object' || Array.isArray(parsed)) return undefined
    return Object.values(parsed).every(isMetadataValue) ? (parsed as Metadata) : undefined
  } catch {
    return undefined
  }
}

/** PostgreSQL has times that no Date holds, `infinity` among them. */
function timeMs(text: string): number {
  const ms = Number(text)
  return Number.isFinite(ms) && Math.abs(ms) <= 8.64e15 ? ms : 0
}

function optional<K extends string>(name: K, value: string | undefined): { [P in K]?: string } {
  return (value === undefined ? {} : { [name]: value }) as { [P in K]?: string }
}

/**
 * `2026-11-21 08:49:58.69+00` as `2026-11-21T08:49:58.690Z`: all the digits that the server keeps, at least three. What no
 * such time can say (`infinity`, a year before the first) comes as it is.
 */
export function rfc3339(text: string): string {
  if (!text.endsWith('+00')) return text
  const [date, clock = ''] = text.slice(0, -3).split(' ')
  const [seconds, fraction = ''] = clock.split('.')
  return `${date}T${seconds}.${fraction.padEnd(3, '0')}Z`
}
