// CloudEvents 1.0, binary mode, names as in HTTP: `ce-<attribute>` for every attribute of the structured form except
// `datacontenttype`, which is `content-type`; the body is the JSON of `data`, byte for byte as it was published. Values
// are percent-encoded as the HTTP binding asks (space, `"`, `%` and all outside U+0021..U+007E). Metadata that is no
// string under a legal extension name is in `ce-evtmetadata`, because headers have no other types.
import { isUtf8 } from 'node:buffer'
import { checksumOf } from '../checksum.ts'
import { EvtError } from '../errors.ts'
import type { EvtEvent } from '../event.ts'
import { originNames } from '../origin.ts'
import {
  type AttributeNames,
  addMetadataJson,
  attributeNames,
  type DecodeDefaults,
  type Envelope,
  type MetadataValue,
  readEnvelope,
  setOwn,
  undecodable,
} from './attributes.ts'
import { isJsonType, splitMetadata } from './cloudevents.ts'
import { contentEncodingName, inflated, isGzip } from './content-encoding.ts'

export type Headers = Readonly<Record<string, string>>

/** Metadata of a relayed event, by which a source and a sink on one broker know their own: in the headers of every dialect. */
export const relayNames = Object.values(originNames)

/** Set by a store that could read only a part of the event: says which, and why. */
export const unreadableName = 'evt-unreadable'

/** On a dead letter whose data nobody kept: says why. What stands for its data is not it. */
export const withheldName = 'evt-withheld'

const prefix = 'ce-'
const prefixed = Object.fromEntries(Object.entries(attributeNames).map(([field, name]) => [field, prefix + name]))
const names = { ...prefixed, datacontenttype: 'content-type' } as AttributeNames
const ownNames: ReadonlySet<string> = new Set(Object.values(names))

/** The attributes as headers; never touches `data`. The body that belongs to them is `encodeEvent(event).dataText`. */
export function toHeaders(event: Envelope): Headers {
  const { actor } = event
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'ce-specversion': '1.0',
    'ce-id': encoded(event.id),
    'ce-type': encoded(event.type),
    'ce-source': encoded(event.source),
    'ce-time': encoded(event.time),
    'ce-evtversion': String(event.version),
    'ce-priority': event.priority,
  }
  if (event.subject !== undefined) headers['ce-subject'] = encoded(event.subject)
  if (event.sequence !== undefined) headers['ce-sequence'] = String(event.sequence)
  if (event.tenant !== undefined) headers['ce-tenant'] = encoded(event.tenant)
  if (event.correlationId !== undefined) headers['ce-correlationid'] = encoded(event.correlationId)
  if (event.causationId !== undefined) headers['ce-causationid'] = encoded(event.causationId)
  if (event.traceparent !== undefined) headers['ce-traceparent'] = encoded(event.traceparent)
  if (actor?.userId !== undefined) headers['ce-userid'] = encoded(actor.userId)
  if (actor?.sessionId !== undefined) headers['ce-sessionid'] = encoded(actor.sessionId)
  if (event.checksum !== undefined) headers['ce-checksum'] = encoded(event.checksum)
  const others = splitMetadata(event.metadata, isHeaderText, (name, value) => {
    headers[prefix + name] = encoded(value as string)
  })
  if (others !== undefined) headers['ce-evtmetadata'] = encoded(others)
  return headers
}

export interface FromHeadersOptions extends DecodeDefaults {
  /** Compare the body with `ce-checksum`; without that header there is nothing to compare. */
  readonly verify?: boolean
}

/**
 * Reads binary mode; header names in lower case, others than `ce-` and `content-type` are ignored. The body is parsed
 * once, when `data` is first read: reading `data` of a body that is no JSON throws EvtError('decode') then. Throws
 * EvtError('decode') naming the attribute, EvtError('checksum') when asked to verify.
 */
export function fromHeaders(headers: Headers, body: Uint8Array | string, options: FromHeadersOptions = {}): EvtEvent {
  const unreadable = headers[unreadableName]
  if (unreadable !== undefined) throw new EvtError('decode', unreadable)
  if (isGzip(headers)) return fromHeaders(withoutEncoding(headers), inflated(body), options)
  const metadata: Record<string, MetadataValue> = {}
  let plain = headers
  for (const name of Object.keys(headers)) {
    if (!name.startsWith(prefix)) continue
    let value = headers[name] as string
    if (value.includes('%') || value.startsWith('"')) {
      value = decoded(value, name)
      if (plain === headers) plain = { ...headers }
      ;(plain as Record<string, string>)[name] = value
    }
    if (!ownNames.has(name)) setOwn(metadata, name.slice(prefix.length), value)
  }
  const json = plain[names.metadata]
  if (json !== undefined) addMetadataJson(metadata, json)
  const contentType = plain[names.datacontenttype] ?? 'application/json'
  const isJson = contentType === 'application/json' || isJsonType(contentType)
  if (!isJson) metadata.datacontenttype = contentType
  const envelope = readEnvelope(plain, names, metadata, options)
  if (options.verify) verify(envelope, body)
  return withData(envelope, body, isJson)
}

/** Of what is no longer compressed. */
export function withoutEncoding({ [contentEncodingName]: _, ...headers }: Headers): Headers {
  return headers
}

/** A value as `toHeaders` writes it. */
export const headerText = (value: string): string => encoded(value.toWellFormed())

/** What `headerText` was given; the value itself when it was written by somebody else. Never throws. */
export const plainText = (value: string): string => decodedOr(value, '')

/** The event's type, as patterns match it; '' when there is none. Never throws. */
export function typeIn(headers: Headers): string {
  const type = headers['ce-type'] ?? ''
  return type.includes('%') || type.startsWith('"') ? decodedOr(type, 'ce-type') : type
}

/** The version of the contract; null when there is none that could be one. Never throws. */
export function versionIn(headers: Headers): number | null {
  const version = Number(headers['ce-evtversion'] ?? 1)
  return Number.isInteger(version) && version > 0 && version < 2 ** 31 ? version : null
}

/** The attributes in the headers of what `fromHeaders` refuses, each as it stands. Never throws. */
export function attributesOf(headers: Headers): Readonly<Record<string, string>> {
  const attributes: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(prefix)) setOwn(attributes, name.slice(prefix.length), decodedOr(value, name))
  }
  return attributes
}

function decodedOr(value: string, name: string): string {
  try {
    return decoded(value, name)
  } catch {
    return value
  }
}

/** Throws EvtError('checksum') when the bytes are not the ones that the envelope was made for. */
function verify(envelope: Envelope, body: Uint8Array | string): void {
  if (envelope.checksum === undefined) return
  const found = checksumOf(body)
  if (found === envelope.checksum) return
  throw new EvtError(
    'checksum',
    `cannot trust event ${envelope.id}: its data has checksum ${found}, not ${envelope.checksum}`,
  )
}

/** The unread body of an event, out of reach of spreading and cloning. */
const unread = Symbol('unread')
interface Unread {
  readonly body: Uint8Array | string
  readonly isJson: boolean
  known: boolean
  value: unknown
}

/**
 * An own accessor, so that spreading, cloning and comparing the event see plain data. One for all events: a closure
 * for each would give each event a shape of its own, which costs more than the parsing that it saves.
 */
const lazyData: PropertyDescriptor = {
  enumerable: true,
  configurable: true,
  get(this: EvtEvent & { readonly [unread]: Unread }) {
    const state = this[unread]
    if (!state.known) {
      state.value = state.isJson ? parsed(state.body, this.id) : textOf(state.body)
      state.known = true
    }
    return state.value
  },
}

function withData(envelope: Envelope, body: Uint8Array | string, isJson: boolean): EvtEvent {
  const state: Unread = { body, isJson, known: false, value: undefined }
  Object.defineProperty(envelope, unread, { value: state })
  return Object.defineProperty(envelope as EvtEvent, 'data', lazyData)
}

function parsed(body: Uint8Array | string, id: string): unknown {
  if (typeof body !== 'string' && !isUtf8(body)) throw undecodable(`the data of ${id} is not UTF-8`)
  try {
    return JSON.parse(textOf(body))
  } catch (cause) {
    throw undecodable(`the data of ${id} is no JSON`, cause)
  }
}

function textOf(body: Uint8Array | string): string {
  if (typeof body === 'string') return body
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  return bytes.toString(isUtf8(bytes) ? 'utf8' : 'base64')
}

const safe = /^[!#$&-~]*$/

function encoded(value: string): string {
  return safe.test(value) ? value : value.replace(/[^!#$&-~]+/gu, encodeURIComponent)
}

function isHeaderText(value: MetadataValue): boolean {
  return typeof value === 'string' && value.isWellFormed()
}

/** Quotes first, then percent signs, as the HTTP binding says. */
function decoded(value: string, name: string): string {
  const quoted = value.length > 1 && value.startsWith('"') && value.endsWith('"')
  const text = quoted ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw undecodable(`header ${name} is not percent-encoded UTF-8`, cause)
  }
}
