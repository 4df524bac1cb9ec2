import { EvtError } from '../errors.ts'
import { type EvtEvent, type Priority, priorities } from '../event.ts'
import { toUtcTime } from '../instant.ts'
import { formatJson } from '../json-text.ts'
import { maxIdCharacters } from '../limits.ts'

/** Everything of an event but its data. */
export type Envelope = Omit<EvtEvent, 'data'>
export type Metadata = EvtEvent['metadata']
export type MetadataValue = Metadata[string]

/** The CloudEvents names, and those of our extension attributes (lower-case letters and digits, at most 20). */
export const attributeNames = {
  specversion: 'specversion',
  id: 'id',
  type: 'type',
  source: 'source',
  time: 'time',
  subject: 'subject',
  datacontenttype: 'datacontenttype',
  version: 'evtversion',
  sequence: 'sequence',
  tenant: 'tenant',
  correlationId: 'correlationid',
  causationId: 'causationid',
  traceparent: 'traceparent',
  userId: 'userid',
  sessionId: 'sessionid',
  priority: 'priority',
  checksum: 'checksum',
  metadata: 'evtmetadata',
} as const
export type AttributeNames = Readonly<Record<keyof typeof attributeNames, string>>

/** Names that no extension may use, because they say something else on the wire. */
export const reservedNames: ReadonlySet<string> = new Set([
  ...Object.values(attributeNames),
  'data',
  'database64',
  'evt',
])

/** What a decoder fills in where the bytes say nothing. */
export interface DecodeDefaults {
  /** RFC 3339. An event without a time of its own is refused when this is absent too. */
  readonly time?: string
}

export function undecodable(reason: string, cause?: unknown): EvtError {
  return new EvtError('decode', `cannot decode event: ${reason}`, cause === undefined ? {} : { cause })
}

/**
 * The envelope from attributes under `names`. `metadata` holds what the caller found beside them; attributes of ours
 * whose value is somebody else's (`sequence: "a7"`, `priority: "p1"`) join it. Throws EvtError('decode') naming the
 * attribute.
 */
export function readEnvelope(
  from: Readonly<Record<string, unknown>>,
  names: AttributeNames,
  metadata: Record<string, MetadataValue>,
  defaults: DecodeDefaults,
): Envelope {
  if (from[names.specversion] !== '1.0')
    throw undecodable(`${names.specversion} is ${shown(from[names.specversion])}, not "1.0"`)
  const envelope: { -readonly [Key in keyof Envelope]: Envelope[Key] } = {
    id: required(from, names.id, maxIdCharacters),
    type: required(from, names.type),
    version: versionOf(from[names.version], names.version),
    source: required(from, names.source),
    time: timeOf(from[names.time] ?? defaults.time, names.time),
    priority: priorityOf(from[names.priority], metadata),
    metadata,
  }
  const subject = optional(from, names.subject)
  if (subject !== undefined) envelope.subject = subject
  const sequence = sequenceOf(from[names.sequence], metadata)
  if (sequence !== undefined) envelope.sequence = sequence
  for (const field of ['tenant', 'correlationId', 'causationId', 'traceparent', 'checksum'] as const) {
    const value = optional(from, names[field])
    if (value !== undefined) envelope[field] = value
  }
  const actor = actorOf(optional(from, names.userId), optional(from, names.sessionId))
  if (actor !== undefined) envelope.actor = actor
  return envelope
}

/** Sets an own property whatever its name: assigning to `__proto__` would set the prototype instead. */
export function setOwn<T>(target: Record<string, T>, key: string, value: T): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  } else {
    target[key] = value
  }
}

/** The metadata that travels as JSON text, added to `metadata`; throws EvtError('decode') when it is no flat object. */
export function addMetadataJson(metadata: Record<string, MetadataValue>, text: string): void {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    throw undecodable(`${attributeNames.metadata} is no JSON`, cause)
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw undecodable(`${attributeNames.metadata} is no JSON object`)
  }
  for (const [key, value] of Object.entries(parsed)) {
    if (!isMetadataValue(value)) throw undecodable(`${attributeNames.metadata} has no plain value under ${shown(key)}`)
    setOwn(metadata, key, value)
  }
}

export function isMetadataValue(value: unknown): value is MetadataValue {
  return (
    typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))
  )
}

function required(from: Readonly<Record<string, unknown>>, name: string, longest = Number.POSITIVE_INFINITY): string {
  const value = from[name]
  if (value === undefined || value === null) throw undecodable(`${name} is missing`)
  if (typeof value !== 'string' || value === '') throw undecodable(`${name} is ${shown(value)}, not a text`)
  if (value.length > longest) throw undecodable(`${name} is longer than ${longest} characters`)
  return value
}

function optional(from: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = from[name]
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') return value
  if (isMetadataValue(value)) return String(value)
  throw undecodable(`${name} is ${shown(value)}, not a text`)
}

function versionOf(value: unknown, name: string): number {
  if (value === undefined || value === null) return 1
  const version = wholeNumber(value)
  if (version === undefined) throw undecodable(`${name} is ${shown(value)}, not a whole number from 1`)
  return version
}

function timeOf(value: unknown, name: string): string {
  if (value === undefined || value === null) throw undecodable(`${name} is missing`)
  const time = typeof value === 'string' ? toUtcTime(value) : undefined
  if (time === undefined) throw undecodable(`${name} is ${shown(value)}, not an RFC 3339 time`)
  return time
}

function sequenceOf(value: unknown, metadata: Record<string, MetadataValue>): number | undefined {
  if (value === undefined || value === null) return undefined
  const sequence = wholeNumber(value)
  if (sequence === undefined && isMetadataValue(value)) metadata.sequence = value
  return sequence
}

function priorityOf(value: unknown, metadata: Record<string, MetadataValue>): Priority {
  if (value === undefined || value === null) return 'normal'
  if (priorities.includes(value as Priority)) return value as Priority
  if (isMetadataValue(value)) metadata.priority = value
  return 'normal'
}

function actorOf(userId: string | undefined, sessionId: string | undefined): Envelope['actor'] {
  if (userId === undefined) return sessionId === undefined ? undefined : { sessionId }
  return sessionId === undefined ? { userId } : { userId, sessionId }
}

function wholeNumber(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^[1-9]\d{0,15}$/.test(value) ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 1 ? number : undefined
}

function shown(value: unknown): string {
  const text = formatJson(value)
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}
