import { checksumOf } from './checksum.ts'
import { type Envelope, isMetadataValue } from './codec/attributes.ts'
import { EvtError, type EvtErrorOptions } from './errors.ts'
import { type EvtEvent, maxDataDepth, priorities } from './event.ts'
import { toUtcTime } from './instant.ts'
import { jsonDepth } from './json-text.ts'
import { maxFieldBytes, maxIdCharacters } from './limits.ts'
import { isEventType } from './pattern.ts'
import { formatCount } from './quantity.ts'

export { formatAttributes, formatCloudEvent, fromCloudEvent, toCloudEvent } from './codec/cloudevents.ts'
export { type Decoded, decodeAll, decodeAny } from './codec/decode-any.ts'
export { type DialectName, dialectNames } from './codec/dialects.ts'
export { attributesOf, fromHeaders, toHeaders, typeIn, versionIn } from './codec/headers.ts'

/** An event whose bytes are fixed: stored, sent and retried as they are. */
export interface EncodedEvent<T = unknown> extends EvtEvent<T> {
  /** JSON of `data`; what the checksum is over. */
  readonly dataText: string
  readonly checksum: string
  /** The store holds it until then; never on the wire. */
  readonly deliverAt?: string
}

/**
 * Fixes the bytes of an event: the JSON of its data and the checksum over it. What JSON cannot say changes here, once:
 * members that are undefined vanish, -0 becomes 0, NaN and infinities null, a Date its text, absent data null. Numbers
 * are written as JavaScript has them: a bigger integer than 2^53 must travel as a string (text that SQL wrote keeps all
 * its digits in the store; parsing it loses them). The time is brought to UTC.
 *
 * Throws EvtError('contract') naming the field: data that is no JSON or nested deeper than `maxDataDepth`, a type that no
 * pattern can name, an attribute that is empty where it may not be, that holds U+0000 (Postgres has no such text) or
 * half a surrogate pair, or that is longer than `limits.ts` says, metadata that is not flat.
 */
export function encodeEvent<T>(event: EvtEvent<T>): EncodedEvent<T> {
  const time = checkEnvelope(event)
  return withBytes(event, time, jsonOf(event))
}

/**
 * Keeps `dataText`, the JSON that `data` was parsed from, as the bytes: numbers have all their digits. Nobody compares
 * the two. Throws as `encodeEvent`.
 */
export function encodeWithText<T>(event: EvtEvent<T>, dataText: string): EncodedEvent<T> {
  return withBytes(event, checkEnvelope(event), dataText)
}

function withBytes<T>(event: EvtEvent<T>, time: string, dataText: string): EncodedEvent<T> {
  // Each level takes two characters.
  if (dataText.length > 2 * maxDataDepth && jsonDepth(dataText) > maxDataDepth) throw tooDeep(event)
  return { ...event, time, dataText, checksum: checksumOf(dataText) }
}

/** Throws as `encodeEvent`; returns the time in UTC. */
function checkEnvelope(event: Envelope): string {
  checkRequired(event, 'id')
  checkRequired(event, 'type')
  checkRequired(event, 'source')
  if (!isEventType(event.type)) {
    const isLong = [...event.type].length > 255
    throw unfit(
      event,
      'type',
      isLong ? 'is longer than 255 characters' : 'is no dotted name that a pattern could select',
      {
        hint: `a type is words joined by dots, as user.created; no spaces, quotes or any of * ? ! , ; | \\ < > ( ) [ ] { }`,
      },
    )
  }
  if (event.id.length > maxIdCharacters) throw unfit(event, 'id', `is longer than ${maxIdCharacters} characters`)
  for (const field of ['subject', 'tenant', 'correlationId', 'causationId', 'traceparent'] as const) {
    checkText(event, field, event[field])
  }
  checkText(event, 'actor.userId', event.actor?.userId)
  checkText(event, 'actor.sessionId', event.actor?.sessionId)
  checkNumber(event, 'version', event.version)
  if (event.sequence !== undefined) checkNumber(event, 'sequence', event.sequence)
  if (!priorities.includes(event.priority)) throw unfit(event, 'priority', `is none of ${priorities.join(', ')}`)
  for (const key of Object.keys(event.metadata)) {
    if (!isMetadataValue(event.metadata[key])) throw unfit(event, `metadata.${key}`, 'is no string, number or boolean')
  }
  const time = toUtcTime(event.time)
  if (time === undefined) throw unfit(event, 'time', 'is no RFC 3339 time')
  return time
}

function checkRequired(event: Envelope, field: 'id' | 'type' | 'source'): void {
  if (typeof event[field] !== 'string' || event[field] === '') throw unfit(event, field, 'is missing')
  checkText(event, field, event[field])
}

function checkText(event: Envelope, field: string, value: unknown): void {
  if (value === undefined) return
  if (typeof value !== 'string') throw unfit(event, field, 'is no text')
  if (value.includes('\0')) throw unfit(event, field, 'holds the character U+0000')
  if (!value.isWellFormed()) throw unfit(event, field, 'holds half a surrogate pair')
  // No character of JavaScript takes more than three bytes.
  if (value.length * 3 > maxFieldBytes && field !== 'type') checkLength(event, field, value)
}

function checkLength(event: Envelope, field: string, value: string): void {
  const size = Buffer.byteLength(value)
  if (size <= maxFieldBytes) return
  throw unfit(event, field, `has ${formatCount(size)} bytes, the limit is ${formatCount(maxFieldBytes)}`, {
    hint: 'put what is long into data; these fields name things, and are looked up by their names',
  })
}

function checkNumber(event: Envelope, field: string, value: unknown): void {
  if (!Number.isSafeInteger(value) || (value as number) < 1) throw unfit(event, field, 'is no whole number from 1')
}

function jsonOf(event: EvtEvent): string {
  try {
    const text = JSON.stringify(event.data) as string | undefined
    if (text !== undefined) return text
  } catch (cause) {
    if (cause instanceof RangeError && /call stack/.test(cause.message)) throw tooDeep(event, cause)
    throw unfit(event, 'data', `is no JSON: ${cause instanceof Error ? cause.message : 'unknown'}`, { cause })
  }
  if (event.data === undefined) return 'null'
  throw unfit(event, 'data', `is no JSON but a ${typeof event.data}`)
}

function tooDeep(event: Envelope, cause?: unknown): EvtError {
  return unfit(event, 'data', `is nested deeper than ${formatCount(maxDataDepth)} levels`, {
    hint: 'make it flatter, or keep the deep part as a text: many readers of JSON go no deeper',
    cause,
  })
}

function unfit(event: Envelope, field: string, reason: string, options: EvtErrorOptions = {}): EvtError {
  const name = typeof event.type === 'string' && event.type !== '' ? event.type.slice(0, 100) : 'event'
  return new EvtError('contract', `cannot encode ${name}: ${field} ${reason}`, options)
}
