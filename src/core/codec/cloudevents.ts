// CloudEvents 1.0, structured JSON:
//
//   { "specversion": "1.0", "id", "type", "source", "time", "subject"?, "datacontenttype": "application/json",
//     "evtversion": 2, "sequence"?: "17", "tenant"?, "correlationid"?, "causationid"?, "traceparent"?, "userid"?,
//     "sessionid"?, "priority": "normal", "checksum"?, <metadata>, "evtmetadata"?: "{…}", "data": … }
//
// Metadata whose key is a legal extension name and whose value is a string, boolean or 32-bit integer is an extension
// attribute of that name; the rest travels as JSON text in `evtmetadata`. `sequence` is text, as CloudEvents' own
// extension of that name has it; compare it as a number. When printed, a member `evt` says where it was read.
import type { EvtEvent } from '../event.ts'
import { formatJson } from '../json-text.ts'
import {
  addMetadataJson,
  attributeNames,
  type DecodeDefaults,
  type Envelope,
  isMetadataValue,
  type Metadata,
  type MetadataValue,
  readEnvelope,
  reservedNames,
  setOwn,
  undecodable,
} from './attributes.ts'

export type CloudEvent = Readonly<Record<string, unknown>>

/** The structured form as an object; `data` is the event's own, not a copy. */
export function toCloudEvent(event: EvtEvent): CloudEvent {
  const structured = structuredAttributes(event)
  structured.data = event.data
  return structured
}

export interface CloudEventText {
  /** The stored JSON of `data`, printed as it was written: long numbers keep their digits. */
  readonly dataText?: string
  /** Where the event was read: `{ transport, topic, … }`. */
  readonly evt?: object
}

/** The structured form as one line of JSON, without a line break. Given `dataText`, it never touches `event.data`. */
export function formatCloudEvent(event: EvtEvent, { dataText, evt }: CloudEventText = {}): string {
  return formatAttributes(structuredAttributes(event), { dataText: dataText ?? formatJson(event.data), evt })
}

/** One line as `formatCloudEvent` writes it, of attributes as they stand, whatever they are. */
export function formatAttributes(
  attributes: Readonly<Record<string, unknown>>,
  { dataText, evt }: { readonly dataText: string; readonly evt?: object | undefined },
): string {
  const head = JSON.stringify(attributes).slice(0, -1)
  // In JSON a raw line break can only stand between two tokens.
  const line = dataText.includes('\n') || dataText.includes('\r') ? dataText.replace(/[\r\n]/g, ' ') : dataText
  return `${head},"data":${line}${evt === undefined ? '' : `,"evt":${JSON.stringify(evt)}`}}`
}

/**
 * Reads the structured form. The `evt` member is ignored, unknown extensions become metadata, an absent `data` is null.
 * Data that is not JSON stays text (base64 text for binary) and its content type becomes metadata. Throws
 * EvtError('decode') naming the attribute.
 */
export function fromCloudEvent(value: unknown, defaults: DecodeDefaults = {}): EvtEvent {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw undecodable('it is no JSON object')
  const structured = value as Readonly<Record<string, unknown>>
  const metadata: Record<string, MetadataValue> = {}
  for (const key of Object.keys(structured)) {
    if (!reservedNames.has(key) && key !== 'data_base64') addForeign(metadata, key, structured[key])
  }
  const json = structured[attributeNames.metadata]
  if (typeof json === 'string') addMetadataJson(metadata, json)
  const data = dataOf(structured, metadata)
  return { ...readEnvelope(structured, attributeNames, metadata, defaults), data }
}

/** A content type whose bodies are JSON; absent means JSON too. */
export function isJsonType(contentType: string): boolean {
  return /^[^;]*[/+]json\s*(?:;|$)/i.test(contentType)
}

/** Splits metadata into what can be an attribute of its own, given to `each`, and the JSON text of the rest. */
export function splitMetadata(
  metadata: Metadata,
  isAttribute: (value: MetadataValue) => boolean,
  each: (name: string, value: MetadataValue) => void,
): string | undefined {
  let others: Record<string, MetadataValue> | undefined
  for (const key of Object.keys(metadata)) {
    const value = metadata[key] as MetadataValue
    if (extensionName.test(key) && !reservedNames.has(key) && isAttribute(value)) {
      each(key, value)
    } else {
      others ??= {}
      setOwn(others, key, value)
    }
  }
  return others && JSON.stringify(others)
}

const extensionName = /^[a-z0-9]{1,20}$/

function structuredAttributes(event: Envelope): Record<string, unknown> {
  const { actor } = event
  const structured: Record<string, unknown> = {
    specversion: '1.0',
    id: event.id,
    type: event.type,
    source: event.source,
    time: event.time,
  }
  if (event.subject !== undefined) structured.subject = event.subject
  structured.datacontenttype = 'application/json'
  structured.evtversion = event.version
  if (event.sequence !== undefined) structured.sequence = String(event.sequence)
  if (event.tenant !== undefined) structured.tenant = event.tenant
  if (event.correlationId !== undefined) structured.correlationid = event.correlationId
  if (event.causationId !== undefined) structured.causationid = event.causationId
  if (event.traceparent !== undefined) structured.traceparent = event.traceparent
  if (actor?.userId !== undefined) structured.userid = actor.userId
  if (actor?.sessionId !== undefined) structured.sessionid = actor.sessionId
  structured.priority = event.priority
  if (event.checksum !== undefined) structured.checksum = event.checksum
  const others = splitMetadata(event.metadata, isJsonAttribute, (name, value) => {
    structured[name] = value
  })
  if (others !== undefined) structured.evtmetadata = others
  return structured
}

function isJsonAttribute(value: MetadataValue): boolean {
  return typeof value === 'number' ? Object.is(value | 0, value) : typeof value !== 'string' || value.isWellFormed()
}

/** An extension of somebody else. CloudEvents knows no objects as attributes, but senders exist that use them. */
function addForeign(metadata: Record<string, MetadataValue>, key: string, value: unknown): void {
  if (value === null || value === undefined) return
  setOwn(metadata, key, isMetadataValue(value) ? value : formatJson(value))
}

function dataOf(structured: Readonly<Record<string, unknown>>, metadata: Record<string, MetadataValue>): unknown {
  const type = structured[attributeNames.datacontenttype]
  const json = typeof type !== 'string' || isJsonType(type)
  if (!json) metadata.datacontenttype = type
  const base64 = structured.data_base64
  if (typeof base64 !== 'string') return structured.data ?? null
  if (!json) return base64
  try {
    return JSON.parse(Buffer.from(base64, 'base64').toString())
  } catch (cause) {
    throw undecodable('data_base64 is no JSON', cause)
  }
}
