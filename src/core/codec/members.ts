// What the shapes of foreign systems share: how their members are read and written.
import { EvtError } from '../errors.ts'
import type { EvtEvent } from '../event.ts'
import { timeMsOf, toUtcTime } from '../instant.ts'
import { formatJson } from '../json-text.ts'
import { isMetadataValue, type Metadata, type MetadataValue, setOwn, undecodable } from './attributes.ts'
import type { FullContext, Wire } from './dialect.ts'

export const isObject = (value: unknown): value is Wire =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Text and numbers as text; undefined for what is absent, null, empty or neither. */
export function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value
  return typeof value === 'number' && Number.isFinite(value) ? String(value) : undefined
}

/** Throws EvtError('decode') when it is absent, and for an id that is too long. */
export function requiredText(wire: Wire, name: string): string {
  const text = textOf(wire[name])
  if (text === undefined) throw undecodable(`${name} is missing`)
  if (name === 'event_id' && text.length > 255) throw undecodable(`${name} is longer than 255 characters`)
  return text
}

/**
 * RFC 3339 in any zone; without a zone, as Python writes `datetime.utcnow()`, UTC; a number is seconds since the epoch. The
 * context's time where there is none. Throws EvtError('decode').
 */
export function timeIn(wire: Wire, name: string, context: FullContext): string {
  const value = wire[name]
  if (value === undefined || value === null) return context.time
  const time =
    typeof value === 'number' ? timeOfSeconds(value) : typeof value === 'string' ? timeOfText(value) : undefined
  if (time === undefined) throw undecodable(`${name} is ${shortly(value)}, not a time`)
  return time
}

function timeOfText(text: string): string | undefined {
  const zoned = /[Zz]$|[+-]\d{2}:\d{2}$/.test(text) ? text : `${text}Z`
  // Python writes microseconds: three zeros at the end say nothing.
  return toUtcTime(zoned)?.replace(/(\.\d{3}\d*?)0+Z$/, '$1Z')
}

function timeOfSeconds(seconds: number): string | undefined {
  if (seconds < 0) return toUtcTime(isoOf(Math.round(seconds * 1000)))
  const [, whole = '', fraction = ''] = /^(\d{1,12})(?:\.(\d{1,9}))?$/.exec(String(seconds)) ?? []
  return whole === '' ? undefined : toUtcTime(`${isoOf(Number(whole) * 1000).slice(0, -5)}.${fraction.padEnd(3, '0')}Z`)
}

/** '' for what is beyond the calendar. */
function isoOf(timeMs: number): string {
  const date = new Date(timeMs)
  return Number.isNaN(date.getTime()) ? '' : date.toISOString()
}

/** Without a fraction that is zero: `2025-08-23T10:00:00Z`. */
export const shortTime = (time: string): string => time.replace(/\.0+Z$/, 'Z')

export function secondsOf(time: string): number {
  const timeMs = timeMsOf(time) ?? 0
  if (timeMs < 0) return timeMs / 1000
  return Number(`${Math.floor(timeMs / 1000)}.${/\.(\d+)Z$/.exec(time)?.[1] ?? '0'}`)
}

const schemaPrefix = 'urn:evt:version:'

/**
 * `v2`, `2`, `2.0.0` and `{ major, minor, patch }` are version 2. Where `write` would not write it so again, the text goes into
 * `metadata.dataschema`. Throws EvtError('decode').
 */
export function versionIn(value: unknown, metadata: Record<string, MetadataValue>, write: (version: number) => string) {
  if (value === undefined || value === null) return 1
  const text = isObject(value) ? `${value.major}.${value.minor ?? 0}.${value.patch ?? 0}` : String(value)
  const major = /^v?(\d{1,15})(?:\.\d{1,9}){0,2}$/.exec(text)?.[1]
  if (major === undefined) throw undecodable(`version is ${shortly(value)}, not v1, 1 or 1.0.0`)
  const version = Math.max(1, Number(major))
  if (write(version) !== text && text !== String(version)) metadata.dataschema = schemaPrefix + text
  return version
}

/** What `versionIn` read, in the same words; and the metadata without them. */
export function versionText({ version, metadata }: EvtEvent, write: (version: number) => string): [string, Metadata] {
  const { dataschema, ...others } = metadata
  const text =
    typeof dataschema === 'string' && dataschema.startsWith(schemaPrefix) ? dataschema.slice(schemaPrefix.length) : ''
  const major = /^v?(\d+)\./.exec(text)?.[1]
  return major !== undefined && Math.max(1, Number(major)) === version ? [text, others] : [write(version), metadata]
}

/** Flat values as they are; null is left out; what is nested becomes its JSON text. */
export function addMetadata(metadata: Record<string, MetadataValue>, value: unknown): void {
  if (!isObject(value)) return
  for (const [key, member] of Object.entries(value)) {
    if (member === null || key.startsWith(ownPrefix)) continue
    setOwn(metadata, key, isMetadataValue(member) ? member : formatJson(member))
  }
}

/** `user.created` with `user_id: 7` is about `user/7`. */
export function subjectByType(type: string, data: Wire): string | undefined {
  const aggregate = type.split('.')[0] ?? ''
  const id = Object.hasOwn(data, `${aggregate}_id`) ? textOf(data[`${aggregate}_id`]) : undefined
  return id === undefined ? undefined : `${aggregate}/${id}`
}

/**
 * The data as members of the event itself. Throws EvtError('contract') when it is no object, or has a member that the shape
 * uses for something else.
 */
export function flatData(dialect: string, event: EvtEvent, data: unknown, taken: readonly string[]): Wire {
  // A Date, and a number with all its digits, are objects that JSON writes as something else.
  const isPlain = isObject(data) && typeof data.toJSON !== 'function' && !(Object.isFrozen(data) && 'rawJSON' in data)
  if (!isPlain) throw unfit(dialect, event, 'its data is no object')
  const clash = taken.find((name) => Object.hasOwn(data, name))
  if (clash !== undefined) throw unfit(dialect, event, `its data has a member ${clash} of its own`)
  return data
}

function unfit(dialect: string, event: EvtEvent, reason: string): EvtError {
  return new EvtError('contract', `cannot write ${event.type.slice(0, 100)} as ${dialect}: ${reason}`, {
    hint: 'leave its type out of the patterns of this sink, or give the sink the dialect cloudevents-structured',
  })
}

const ownPrefix = 'evt_'
const kept = [
  'type',
  'version',
  'source',
  'subject',
  'sequence',
  'tenant',
  'correlationId',
  'causationId',
  'traceparent',
  'priority',
] as const

/**
 * `wire` with what its own members do not say, in its `metadata`: under `evt_source`, `evt_subject` and so on, null for what the
 * event does not have though the members say it. Nothing is added for an event that came in this shape.
 */
export function withRest(wire: Wire, metadata: Metadata, event: EvtEvent, decode: (wire: Wire) => EvtEvent): Wire {
  const rest: Record<string, unknown> = {}
  const said = decode(wire)
  for (const field of kept) {
    if (event[field] !== said[field]) rest[ownPrefix + field.toLowerCase()] = event[field] ?? null
  }
  for (const field of ['userId', 'sessionId'] as const) {
    const wanted = event.actor?.[field]
    if (wanted !== said.actor?.[field]) rest[ownPrefix + field.toLowerCase()] = wanted ?? null
  }
  const all = { ...metadata, ...rest }
  return Object.keys(all).length === 0 ? wire : { ...wire, metadata: all }
}

type Draft = { -readonly [Key in keyof EvtEvent]: EvtEvent[Key] }

/** The event with what `withRest` put into the metadata. */
export function restored(event: EvtEvent, metadata: unknown): EvtEvent {
  if (!isObject(metadata) || !Object.keys(metadata).some((key) => key.startsWith(ownPrefix))) return event
  const draft: Draft = { ...event }
  for (const field of kept) put(draft, field, metadata[ownPrefix + field.toLowerCase()])
  const actor: { userId?: string; sessionId?: string } = { ...draft.actor }
  for (const field of ['userId', 'sessionId'] as const) put(actor, field, metadata[ownPrefix + field.toLowerCase()])
  delete draft.actor
  if (Object.keys(actor).length > 0) draft.actor = actor
  return draft
}

/** Of another kind than the field's own it is somebody else's, and ignored. */
function put<T extends object>(target: T, field: keyof T & string, value: unknown): void {
  if (value === undefined) return
  const required = field === 'type' || field === 'source' || field === 'version' || field === 'priority'
  if (value === null && !required) delete target[field]
  else if (typeof value === (field === 'version' || field === 'sequence' ? 'number' : 'string'))
    target[field] = value as T[typeof field]
}

const shortly = (value: unknown): string => formatJson(value).slice(0, 80)
