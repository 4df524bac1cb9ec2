// A message on the wire. CloudEvents in binary mode of the AMQP binding, whose values are texts and not percent-encoded:
//
//   properties           message_id, content_type, delivery_mode 2, timestamp (s), app_id `evt`
//   headers              cloudEvents:<attribute> ⇄ ce-<attribute> · timestamp_in_ms
//                        evt-key (the ordering key), evt-log (position in the log), evt-log-id (of which log), evt-id (an id of more than 255 bytes)
//   body                 as it is
//
// Read as well: `cloudEvents_<attribute>`, and what others send: headers of any type, visible as texts; properties that say something about
// the event as `amqp-type`, `amqp-correlation-id`, `amqp-exchange`, `amqp-routing-key`, only where the message is not evt's.
import { isUtf8 } from 'node:buffer'
import type { Envelope } from 'rabbitmq-client'
import type { Headers, Message, Received } from '../transport.ts'
import type { Delivery } from './driver.ts'
import type { PositionInLog } from './seen.ts'

/** What of an envelope a message decides; where it goes is added by who sends it. */
export type Properties = Pick<Envelope, 'messageId' | 'contentType' | 'headers' | 'appId' | 'timestamp'> & Envelope

const attributeNames = createNames((name) => `cloudEvents:${name.slice(3)}`)
const appId = 'evt'

export function toProperties(message: Message, nowMs: number): Properties {
  const headers: Record<string, unknown> = { timestamp_in_ms: nowMs }
  const properties: Properties = { appId, headers, timestamp: Math.floor(nowMs / 1_000), durable: true }
  for (const name of Object.keys(message.headers)) {
    const value = message.headers[name] as string
    if (name.startsWith('ce-')) headers[attributeNames(name)] = decoded(value)
    else if (name === 'content-type' && fitsShort(value)) properties.contentType = value
    else if (name === 'amqp-type' && fitsShort(value)) properties.type = value
    else if (name === 'amqp-correlation-id' && fitsShort(value)) properties.correlationId = value
    else if (!name.startsWith('amqp-') && !routing.has(name)) setOwn(headers, name, value)
  }
  if (message.key !== null) headers['evt-key'] = message.key
  if (message.log !== undefined) {
    headers['evt-log'] = String(message.log)
    if (message.logId !== undefined) headers['evt-log-id'] = message.logId
  }
  if (fitsShort(message.id)) properties.messageId = message.id
  else headers['evt-id'] = message.id
  return properties
}

/** Headers by which RabbitMQ sends a copy elsewhere. */
const routing: ReadonlySet<string> = new Set(['CC', 'BCC'])

/** Texts of AMQP's short kind have 255 bytes at most; the library would cut them. */
const fitsShort = (text: string): boolean => text.length <= 85 || Buffer.byteLength(text) <= 255

/** Never throws: what cannot be read is made visible. */
export function fromDelivery(delivery: Delivery, topic: string, at: string, deliveries = 1): Received {
  const raw = delivery.headers ?? {}
  const headers = headersOf(delivery)
  const isOurs = delivery.appId === appId
  const id = delivery.messageId || textIn(raw['evt-id']) || plain(headers['ce-id']) || `${topic}@${at}`
  const log = isOurs ? textIn(raw['evt-log']) : undefined
  const logId = textIn(raw['evt-log-id'])
  const timeMs = timeOf(delivery)
  return {
    id,
    key:
      textIn(raw['evt-key']) ??
      (isOurs ? null : (plain(headers['ce-partitionkey']) ?? plain(headers['ce-subject']) ?? null)),
    headers,
    body: delivery.body,
    topic,
    at,
    deliveries,
    ...(log !== undefined && /^\d{1,19}$/.test(log) && { log: BigInt(log), ...(logId !== undefined && { logId }) }),
    ...(timeMs !== undefined && { timeMs }),
  }
}

/** The position in the log, without making a message of it. */
export function logOf(delivery: Delivery): PositionInLog | undefined {
  if (delivery.appId !== appId) return undefined
  const log = delivery.headers?.['evt-log']
  const logId = delivery.headers?.['evt-log-id']
  return typeof log === 'string' ? { logId: typeof logId === 'string' ? logId : '', log: Number(log) } : undefined
}

/** The type, as patterns match it: `ce-type`, or what stands for it in messages of others. */
export function typeOf(delivery: Delivery): string {
  const raw = delivery.headers ?? {}
  return textIn(raw['cloudEvents:type']) ?? textIn(raw.cloudEvents_type) ?? delivery.type ?? ''
}

/** What brokers and evt add, and no publisher meant. */
const added =
  /^(evt-(key|log|log-id|id|dead-.*)|timestamp_in_ms|x-(delivery-count|acquired-count|stream-offset|death|opt-.*|(first|last)-death-.*))$/

/** Names are few and come with every message. Empty: not the publisher's. */
const ownNames = createNames((name) => {
  if (name.startsWith('cloudEvents:') || name.startsWith('cloudEvents_')) return `ce-${name.slice(12)}`
  return added.test(name) ? '' : name
})

function createNames(translate: (name: string) => string): (name: string) => string {
  const known = new Map<string, string>()
  return (name) => {
    const remembered = known.get(name)
    if (remembered !== undefined) return remembered
    const translated = translate(name)
    if (known.size < 1_000) known.set(name, translated)
    return translated
  }
}

function headersOf(delivery: Delivery): Headers {
  const headers: Record<string, string> = {}
  const raw = delivery.headers ?? {}
  for (const name of Object.keys(raw)) {
    const own = ownNames(name)
    if (own === '') continue
    const text = visibleText(raw[name])
    setOwn(headers, own, own.startsWith('ce-') && own !== name ? encoded(text) : text)
  }
  if (delivery.mediaType !== undefined) headers['content-type'] = delivery.mediaType
  if (delivery.contentEncoding) headers['content-encoding'] = delivery.contentEncoding
  if (delivery.type) headers['amqp-type'] = delivery.type
  if (delivery.correlationId) headers['amqp-correlation-id'] = delivery.correlationId
  if (delivery.appId === appId) return headers
  if (delivery.exchange) headers['amqp-exchange'] = delivery.exchange
  if (delivery.routingKey) headers['amqp-routing-key'] = delivery.routingKey
  return headers
}

function timeOf({ headers, timestamp }: Delivery): number | undefined {
  const ms = headers?.timestamp_in_ms
  if (typeof ms === 'number' && Number.isSafeInteger(ms)) return ms
  // Clients exist that send milliseconds where seconds belong.
  return timestamp === undefined ? undefined : timestamp > 1e11 ? timestamp : timestamp * 1_000
}

/** Any value of an AMQP table as text: numbers, times, tables, bytes. */
export function visibleText(value: unknown): string {
  if (typeof value === 'string') return value
  if (value === null || value === undefined) return ''
  if (Buffer.isBuffer(value)) return bytesText(value)
  if (typeof value !== 'object') return String(value)
  return JSON.stringify(value, (_, inner) => {
    if (typeof inner === 'bigint') return String(inner)
    // A buffer has turned itself into this by the time it is asked.
    return inner?.type === 'Buffer' && Array.isArray(inner.data) ? bytesText(Buffer.from(inner.data)) : inner
  })
}

function bytesText(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString()
  return bytes
    .toString('latin1')
    .replace(/[^\t\n\r -~]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

const textIn = (value: unknown): string | undefined =>
  value === undefined || value === null ? undefined : visibleText(value)

const safe = /^[!#$&-~]*$/
const plain = (value: string | undefined): string | undefined => (value === undefined ? undefined : decoded(value))

/** As headers of `ce-` have it, and core reads it. */
function encoded(value: string): string {
  return safe.test(value) ? value : value.toWellFormed().replace(/[^!#$&-~]+/gu, encodeURIComponent)
}

function decoded(value: string): string {
  if (!value.includes('%')) return value
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

/** Also where the name is `__proto__`. */
function setOwn<T>(target: Record<string, T>, name: string, value: T): void {
  if (name === '__proto__') {
    Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true })
  } else target[name] = value
}
