// Messages on Kafka. Key: the ordering key, UTF-8. Value: the body. Headers: CloudEvents in binary mode by Kafka's protocol binding
// (`ce_<attribute>`, UTF-8, and `content-type`); inside evt they are `ce-<attribute>`, percent-encoded as over HTTP. Every other header
// is as it is. `evt-log`: the log position, decimal. `evt-id`: the id, where `ce_id` does not say it.
// Read as well: structured mode (`content-type: application/cloudevents+json`), whose bytes stay whole; headers and keys that are no
// UTF-8, in which each such byte becomes `\xNN`.
import { isUtf8 } from 'node:buffer'
import { typeIn } from '../../core/codec.ts'
import type { Message, Received } from '../transport.ts'
import type { Reader, Writer } from './bytes.ts'
import { type RawHeader, type RawRecord, writeBytes } from './records.ts'

export const logName = 'evt-log'
export const idName = 'evt-id'
const structured = /^application\/cloudevents\+json\b/i

/** Writes key, value and headers of a record. */
export function writeMessage(
  writer: Writer,
  { id, key, headers, body, log }: Message,
  extra: readonly RawHeader[] = [],
): void {
  if (key === null) writer.varint(-1)
  else writer.varString(key)
  writeBytes(writer, body)
  const names = Object.keys(headers)
  const ceId = headers['ce-id']
  const hasId = ceId !== undefined && (ceId === id || plain(ceId) === id)
  writer.varint(names.length + (hasId ? 0 : 1) + (log === undefined ? 0 : 1) + extra.length)
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
  let ceId: string | undefined
  let log: bigint | undefined
  for (let count = content.varint(); count > 0; count--) {
    const name = readText(content) ?? ''
    const value = readText(content) ?? ''
    if (name.startsWith('ce_')) {
      const own = `ce-${name.slice(3)}`
      if (name === 'ce_id') ceId = value
      headers[own] = encoded(value)
    } else if (name === idName) id = value
    else if (name === logName && /^\d{1,19}$/.test(value)) log = BigInt(value)
    else if (name === '__proto__')
      Object.defineProperty(headers, name, { value, enumerable: true, configurable: true, writable: true })
    else headers[name] = value
  }
  id ??= ceId ?? structuredAttribute(headers, body, 'id') ?? `${topic}@${at}`
  const received = { id, key, headers, body, topic, at, timeMs, deliveries: 1 }
  return log === undefined ? received : { ...received, log }
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
  const headers = Array.from({ length: content.varint() }, () => ({ name: readText(content) ?? '', value: bytes() }))
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
  if (length < 0) return null
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

function plain(value: string): string {
  if (!value.includes('%')) return value
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}
