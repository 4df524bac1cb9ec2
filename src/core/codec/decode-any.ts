import { isUtf8 } from 'node:buffer'
import { checksumOf } from '../checksum.ts'
import { EvtError } from '../errors.ts'
import type { EvtEvent } from '../event.ts'
import { toUtcTime } from '../instant.ts'
import { formatJson, mayLoseDigits, memberText, parseExactly } from '../json-text.ts'
import { setOwn, undecodable } from './attributes.ts'
import { isJsonType } from './cloudevents.ts'
import { contentEncodingName, inflated, isGzip } from './content-encoding.ts'
import type { DecodeContext, Dialect, FullContext, Wire } from './dialect.ts'
import { type DialectName, dialects } from './dialects.ts'
import { fromHeaders, type Headers, plainText, relayNames, withoutEncoding } from './headers.ts'
import { isObject } from './members.ts'

export type { DecodeContext } from './dialect.ts'

/** Null: no bytes at all, a tombstone. */
type Given = Uint8Array | string | object | null

export interface Decoded {
  readonly event: EvtEvent
  /** The JSON of `event.data`, with every digit of the bytes. */
  readonly dataText: string
  /** `unknown` when none fits, and for what a dialect recognised and could not read. */
  readonly dialect: DialectName | 'unknown'
  /** By which marks it is known, and what the dialects tried before it did not find. */
  readonly because: string
  /** Why a dialect that recognised the bytes could not read them; the event is then the unknown one. */
  readonly problem?: EvtError
}

/** The first of `decodeAll`: all there is, but for a batch. */
export function decodeAny(value: Given, context: DecodeContext = {}): Decoded {
  return decodeAll(value, context)[0] as Decoded
}

/**
 * Any bytes as events, one at least. In this order: what the headers say (CloudEvents batch, structured, binary), a JSON array
 * of CloudEvents, a JSON object by the marks of each dialect in turn, else as they are with the topic for type and source: JSON
 * is parsed, other text stays text, other bytes become base64. A batch is one event for each of its elements. The data of a tombstone
 * is null. Never throws.
 */
export function decodeAll(value: Given, context: DecodeContext = {}): readonly Decoded[] {
  const { headers = {} } = context
  if (value === null) return [relayed(tombstone(context, headers), headers)]
  if (isGzip(headers) && value instanceof Uint8Array) return decodeGzip(value, { ...context, headers })
  const contentType = headers['content-type'] ?? ''
  if (headers['ce-specversion'] !== undefined && !isCloudEvents.test(contentType))
    return [binary(value, context, headers)]
  const bytes = read(value)
  const full = fullContext(context, bytes)
  const { json } = bytes
  if (isCloudEvents.test(contentType)) {
    const because = `header content-type: ${contentType.split(';')[0]}`
    if (/^application\/cloudevents-batch/i.test(contentType)) return batch(bytes, full, because)
    if (!isObject(json))
      return [unknown(bytes, full, because, undecodable('its header says CloudEvents; it is no JSON object'))]
    return [object(bytes, json, { dialect: dialects[0], because, full })]
  }
  if (
    Array.isArray(json) &&
    json.length > 0 &&
    json.every((one) => isObject(one) && typeof one.specversion === 'string')
  )
    return batch(bytes, full, 'an array in which every element has specversion')
  return [relayed(byShape(bytes, full), headers)]
}

function decodeGzip(value: Uint8Array, context: DecodeContext): readonly Decoded[] {
  const headers = withoutEncoding(context.headers ?? {})
  try {
    return decodeAll(inflated(value), { ...context, headers })
  } catch (thrown) {
    const bytes = read(value)
    const because = `header ${contentEncodingName}: gzip`
    return [unknown(bytes, fullContext(context, bytes), because, problemOf(thrown, 'gzip'))]
  }
}

const isCloudEvents = /^application\/cloudevents/i

interface Bytes {
  /** Undefined when it is no JSON. */
  readonly json: unknown
  /** Undefined when it is no text. */
  readonly text: string | undefined
  readonly given: Uint8Array | string | object
}

function read(given: Uint8Array | string | object): Bytes {
  if (typeof given !== 'string' && !(given instanceof Uint8Array)) return { json: given, text: undefined, given }
  if (typeof given !== 'string' && !isUtf8(given)) return { json: undefined, text: undefined, given }
  const text = typeof given === 'string' ? given : bytesOf(given).toString()
  return { json: parsed(text.startsWith('\ufeff') ? text.slice(1) : text), text, given }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function fullContext(context: DecodeContext, { given }: Bytes): FullContext {
  const sent = context.headers?.['ce-id']
  const id = (sent === undefined ? context.id : plainText(sent)) ?? ''
  return {
    topic: context.topic || 'unknown',
    // Only what has no time and no id of its own asks for them.
    get time() {
      const { time } = context
      return (time === undefined ? undefined : toUtcTime(time)) ?? '1970-01-01T00:00:00.000Z'
    },
    get id() {
      return id === ''
        ? `sha256-${checksumOf(typeof given === 'string' || given instanceof Uint8Array ? given : jsonOf(given)).slice(0, 32)}`
        : id
    },
  }
}

function binary(value: Uint8Array | string | object, context: DecodeContext, headers: Headers): Decoded {
  const because = 'header ce-specversion'
  const isBytes = value instanceof Uint8Array
  const text = isBytes
    ? isUtf8(value)
      ? bytesOf(value).toString()
      : undefined
    : typeof value === 'string'
      ? value
      : jsonOf(value)
  try {
    const event = fromHeaders(headers, text ?? (value as Uint8Array), context)
    const contentType = headers['content-type']
    const isJson = contentType === undefined || contentType === 'application/json' || isJsonType(contentType)
    // Parses a body that says JSON: what is none must not be printed as if it were.
    const { data } = event
    return { event, dataText: isJson && text !== undefined ? text : formatJson(data), dialect: 'cloudevents', because }
  } catch (thrown) {
    const bytes = read(value)
    return unknown(bytes, fullContext(context, bytes), because, problemOf(thrown, 'cloudevents'))
  }
}

function tombstone(context: DecodeContext, headers: Headers): Decoded {
  const isBinary = headers['ce-specversion'] !== undefined
  if (isBinary) return binary('null', context, { ...headers, 'content-type': 'application/json' })
  const bytes: Bytes = { json: null, text: undefined, given: '' }
  return unknown(bytes, fullContext(context, bytes), 'it is a tombstone: it has no value')
}

function batch(bytes: Bytes, full: FullContext, because: string): readonly Decoded[] {
  const { json } = bytes
  if (!Array.isArray(json) || json.length === 0)
    return [
      unknown(
        bytes,
        full,
        because,
        undecodable(
          `a batch of CloudEvents is an array of them, and this is ${json === undefined ? 'no JSON' : 'none'}`,
        ),
      ),
    ]
  const exact =
    bytes.text !== undefined && mayLoseDigits(bytes.text) ? parseExactly(bytes.text.replace(/^\ufeff/, '')) : json
  return json.map((one: unknown, i) => {
    const at = { topic: full.topic, time: full.time, id: `${full.id}-${i + 1}` }
    const element: Bytes = { json: one, text: undefined, given: one as object }
    if (!isObject(one)) return unknown(element, at, because, undecodable(`element ${i + 1} of the batch is no object`))
    const decoded = object(element, one, { dialect: dialects[0], because, full: at })
    if (decoded.dialect === 'unknown' || exact === json)
      return { ...decoded, ...(decoded.problem ? {} : { dialect: 'cloudevents-batch' as const }) }
    const { data } = (exact as readonly Wire[])[i] as Wire
    return { ...decoded, dialect: 'cloudevents-batch', dataText: formatJson(data ?? decoded.event.data) }
  })
}

/** What each dialect lacked, from the first to the one that fits. */
function byShape(bytes: Bytes, full: FullContext): Decoded {
  const { json, text } = bytes
  if (!isObject(json)) {
    const what =
      json !== undefined
        ? 'it is JSON, but no object'
        : text === undefined
          ? 'it is no UTF-8: base64'
          : 'it is no JSON: text'
    return unknown(bytes, full, what)
  }
  let missed = ''
  for (const dialect of dialects) {
    const lacks = dialect.lacks(json)
    if (lacks === undefined)
      return object(bytes, json, {
        dialect,
        because: `it has ${dialect.marks}${missed && `; ${missed.slice(2)}`}`,
        full,
      })
    missed += `, no ${dialect.name}: ${lacks.startsWith('it ') ? lacks : `without ${lacks}`}`
  }
  return unknown(bytes, full, `it has the marks of no dialect; ${missed.slice(2)}`)
}

interface Fit {
  readonly dialect: Dialect
  readonly because: string
  readonly full: FullContext
}

function object(bytes: Bytes, json: Wire, { dialect, because, full }: Fit): Decoded {
  try {
    const event = dialect.decode(json, full)
    const dataText = exactData(bytes, dialect, full) ?? formatJson(event.data)
    return { event, dataText, dialect: dialect.name as DialectName, because }
  } catch (thrown) {
    return unknown(bytes, full, because, problemOf(thrown, dialect.name))
  }
}

/** The data with the digits that JSON.parse loses; undefined where it loses none. */
function exactData({ text }: Bytes, dialect: Dialect, full: FullContext): string | undefined {
  if (text === undefined || !mayLoseDigits(text)) return undefined
  const json = text.replace(/^\ufeff/, '')
  if (dialect === dialects[0]) return memberText(json, 'data')
  try {
    return formatJson(dialect.decode(parseExactly(json) as Wire, full).data)
  } catch {
    return undefined
  }
}

function unknown(bytes: Bytes, { id, topic, time }: FullContext, because: string, problem?: EvtError): Decoded {
  const { json, text, given } = bytes
  const data =
    json !== undefined ? json : (text ?? (given instanceof Uint8Array ? bytesOf(given).toString('base64') : null))
  const exact = json !== undefined && text !== undefined && mayLoseDigits(text)
  return {
    event: { id, type: topic, version: 1, source: topic, time, priority: 'normal', metadata: {}, data },
    dataText: exact ? text.replace(/^\ufeff/, '') : formatJson(data),
    dialect: 'unknown',
    because,
    ...(problem ? { problem } : {}),
  }
}

/** Where an event of ours came from stands in the headers of every dialect. */
function relayed(decoded: Decoded, headers: Headers): Decoded {
  const found = relayNames.filter((name) => headers[`ce-${name}`] !== undefined)
  if (found.length === 0) return decoded
  const metadata = { ...decoded.event.metadata }
  for (const name of found)
    setOwn<string | number | boolean>(metadata, name, plainText(headers[`ce-${name}`] as string))
  return { ...decoded, event: { ...decoded.event, metadata } }
}

const problemOf = (thrown: unknown, dialect: string): EvtError =>
  thrown instanceof EvtError
    ? thrown
    : new EvtError('decode', `cannot decode event: it is no ${dialect}`, { cause: thrown })

function jsonOf(value: object): string {
  try {
    return formatJson(value)
  } catch {
    return ''
  }
}

function bytesOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
