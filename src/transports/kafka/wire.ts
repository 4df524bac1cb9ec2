// Messages on Kafka. Key: the ordering key, UTF-8. Value: the body. Headers: CloudEvents in binary mode by Kafka's protocol binding
// (`ce_<attribute>`, UTF-8, and `content-type`); inside evt they are `ce-<attribute>`, percent-encoded as over HTTP. Every other header
// is as it is. No value is a tombstone. `evt-log`: the log position, decimal. `evt-log-id`: which log it is of. `evt-id`: the id, where `ce_id` does not say it.
// Read as well: structured mode (`content-type: application/cloudevents+json`), whose bytes stay whole; headers and keys that are no
// UTF-8, in which each such byte becomes `\xNN`.
import { isUtf8 } from 'node:buffer'
import { typeIn } from '../../core/codec.ts'
import type { Message, Received } from '../transport.ts'
import type { Reader, Writer } from './bytes.ts'
import { type RawHeader, type RawRecord, writeBytes } from './records.ts'

export const logName = 'evt-log'
export const logIdName = 'evt-log-id'
export const idName = 'evt-id'
const structured = /^application\/cloudevents\+json\b/i

/** Writes key, value and headers of a record. */
export function writeMessage(
  writer: Writer,
  { id, key, headers, body, log, logId, isTombstone }: Message,
  extra: readonly RawHeader[] = [],
): void {
  if (key === null) writer.varint(-1)
  else writer.varString(key)
  writeBytes(writer, isTombstone ? null : body)
  const names = Object.keys(headers)
  const ceId = headers['ce-id']
  const hasId = ceId !== undefined && (ceId === id || plain(ceId) === id)
  const own = (hasId ? 0 : 1) + (log === undefined ? 0 : 1) + (log === undefined || logId === undefined ? 0 : 1)
  writer.varint(names.length + own + extra.length)
  for (const name of names) {
    const value = headers[name] as string
    if (name.startsWith('ce-')) {
      writer.varString(`ce_${name.slice(3)}`)
      writer.varString(plain(value))
    } else {
      writer.varString(name)
      writer.varString(value)
    }
  }
  if (!hasId) {
    writer.varString(idName)
    writer.varString(id)
  }
  if (log !== undefined) {
    writer.varString(logName)
    writer.varString(String(log))
    if (logId !== undefined) {
      writer.varString(logIdName)
      writer.varString(logId)
    }
  }
  for (const { name, value } of extra) {
    writer.varString(name)
    writeBytes(writer, value)
  }
}

/** The key's bytes, from which the partition is chosen. */
export const keyBytes = (key: string): Uint8Array => Buffer.from(key)

export interface Place {
  readonly topic: string
  readonly partition: number
}

/** Never throws on what somebody wrote; throws RangeError when the record itself is cut off. */
export function readMessage({ topic, partition }: Place, { offset, timeMs, content }: RawRecord): Received {
  const at = `${partition}:${offset}`
  const key = readText(content)
  const bodyLength = content.varint()
  const body = bodyLength < 0 ? noBytes : content.slice(bodyLength)
  const headers: Record<string, string> = {}
  let id: string | undefined
  let log: bigint | undefined
  let logId: string | undefined
  for (let count = content.varint(); count > 0; count--) {
    const known = readName(content)
    const value = readValue(content, known)
    if (known.raw === idName) id = value
    else if (known.raw === logName && /^\d{1,19}$/.test(value)) log = BigInt(value)
    else if (known.raw === logIdName) logId = value
    else if (known.raw === '__proto__')
      Object.defineProperty(headers, known.raw, { value, enumerable: true, configurable: true, writable: true })
    else headers[known.own] = value
  }
  const ceId = headers['ce-id']
  id ??= ceId === undefined ? undefined : plain(ceId)
  id ??= structuredAttribute(headers, body, 'id') ?? `${topic}@${at}`
  if (bodyLength < 0) return { id, key, headers, body, topic, at, timeMs, deliveries: 1, isTombstone: true }
  if (log === undefined) return { id, key, headers, body, topic, at, timeMs, deliveries: 1 }
  return logId === undefined
    ? { id, key, headers, body, topic, at, timeMs, deliveries: 1, log }
    : { id, key, headers, body, topic, at, timeMs, deliveries: 1, log, logId }
}

/** A header's name, and the value that came with it last: most are the same from message to message. */
interface KnownName {
  readonly bytes: Uint8Array
  readonly raw: string
  /** As it is called inside evt. */
  readonly own: string
  lastBytes: Uint8Array
  lastValue: string
  /** In a row; after some, nobody looks any more: it is an id or a time. */
  misses: number
}

const knownNames = new Map<number, KnownName>()
const maxKnownNames = 1_024
const maxKnownBytes = 64
const maxMisses = 32

function readName(content: Reader): KnownName {
  const { bytes } = content
  const length = Math.max(0, content.varint())
  const start = content.at
  if (start + length > bytes.length) throw new RangeError('a field goes past the end')
  let hash = length
  for (let i = start; i < start + length; i++) hash = (Math.imul(hash, 31) + (bytes[i] as number)) | 0
  content.at = start + length
  const known = knownNames.get(hash)
  if (known !== undefined && isSame(known.bytes, bytes, start, length)) return known
  const own = Uint8Array.from(bytes.subarray(start, start + length))
  const raw = visibleText(own)
  const made: KnownName = {
    bytes: own,
    raw,
    own: raw.startsWith('ce_') ? `ce-${raw.slice(3)}` : raw,
    lastBytes: noBytes,
    lastValue: '',
    misses: 0,
  }
  if (knownNames.size >= maxKnownNames) knownNames.clear()
  knownNames.set(hash, made)
  return made
}

function readValue(content: Reader, name: KnownName): string {
  const { bytes } = content
  const length = Math.max(0, content.varint())
  const start = content.at
  const isRemembered = name.misses < maxMisses
  if (isRemembered && isSame(name.lastBytes, bytes, start, length)) {
    content.at = start + length
    name.misses = 0
    return name.lastValue
  }
  const text = textAt(content, length)
  const value = name.own === name.raw ? text : encoded(text)
  if (isRemembered && length <= maxKnownBytes) {
    name.lastBytes = Uint8Array.from(bytes.subarray(start, start + length))
    name.lastValue = value
    name.misses++
  }
  return value
}

function isSame(known: Uint8Array, bytes: Uint8Array, start: number, length: number): boolean {
  if (known.length !== length) return false
  // From the end: ids and times differ there.
  for (let i = length - 1; i >= 0; i--) if (known[i] !== bytes[start + i]) return false
  return true
}

/** The type that patterns are compared with; '' when there is none. */
export function typeOfMessage({ headers, body }: Message): string {
  return typeIn(headers) || (structuredAttribute(headers, body, 'type') ?? '')
}

export const offsetOf = ({ at }: Pick<Received, 'at'>): bigint => BigInt(at.slice(at.indexOf(':') + 1))

export const partitionAt = (at: string): number => Number(at.slice(0, at.indexOf(':')))

/** The headers of a record, byte for byte; the reader stands at the key and stays there. */
export function readRaw(content: Reader): { key: Buffer | null; value: Buffer | null; headers: RawHeader[] } {
  const start = content.at
  const bytes = () => {
    const length = content.varint()
    return length < 0 ? null : content.slice(length)
  }
  const [key, value] = [bytes(), bytes()]
  const count = content.varint()
  // Before anything is made for so many: each takes two bytes at least.
  if (count > content.left) throw new RangeError('a list goes past the end')
  const headers = Array.from({ length: count }, () => ({ name: readText(content) ?? '', value: bytes() }))
  content.at = start
  return { key, value, headers }
}

/** Bytes as text: what is no UTF-8 in them becomes `\xNN`. */
export function visibleText(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (isUtf8(buffer)) return buffer.toString()
  let text = ''
  for (let i = 0; i < buffer.length; ) {
    const length = [1, 2, 3, 4].find((size) => i + size <= buffer.length && isUtf8(buffer.subarray(i, i + size)))
    text +=
      length === undefined
        ? `\\x${(buffer[i] as number).toString(16).padStart(2, '0')}`
        : buffer.toString('utf8', i, i + length)
    i += length ?? 1
  }
  return text
}

const noBytes = new Uint8Array(0)

function readText(content: Reader): string | null {
  const length = content.varint()
  return length < 0 ? null : textAt(content, length)
}

function textAt(content: Reader, length: number): string {
  const { bytes, at } = content
  if (at + length > bytes.length) throw new RangeError('a field goes past the end')
  content.at = at + length
  const text = bytes.toString('utf8', at, at + length)
  return text.includes('\ufffd') ? visibleText(bytes.subarray(at, at + length)) : text
}

function structuredAttribute(
  headers: Record<string, string> | Message['headers'],
  body: Uint8Array,
  name: string,
): string | undefined {
  if (!structured.test(headers['content-type'] ?? '')) return undefined
  try {
    const event: unknown = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString())
    const value = typeof event === 'object' && event !== null ? (event as Record<string, unknown>)[name] : undefined
    return typeof value === 'string' && value !== '' ? value : undefined
  } catch {
    return undefined
  }
}

const safe = /^[!#$&-~]*$/

function encoded(value: string): string {
  return safe.test(value) ? value : value.replace(/[^!#$&-~]+/gu, encodeURIComponent)
}

/** Undoes percent-encoding; as it is where that is none. */
export function plain(value: string): string {
  if (!value.includes('%')) return value
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}
