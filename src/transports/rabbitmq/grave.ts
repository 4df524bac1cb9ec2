// A dead letter on the wire: the message as it was, and in headers why it died.
//
//   evt's own    evt-dead-id, -topic, -at, -group, -class, -message, -attempts, -ms
//   RabbitMQ     x-death: [{ reason, queue, exchange, routing-keys, count, time }], the newest first
//   Spring       x-exception-message, x-exception-stacktrace, x-original-exchange, x-original-routingKey
//   MassTransit  MT-Fault-ExceptionType, MT-Fault-Message, MT-Fault-Timestamp, MT-Fault-StackTrace, MT-Fault-RetryCount, MT-Fault-InputAddress
import { hash } from 'node:crypto'
import type { Burial, BuriedMessage } from '../transport.ts'
import type { Delivery } from './driver.ts'
import { fromDelivery, visibleText } from './wire.ts'

type Table = Readonly<Record<string, unknown>>

export function deathHeaders({ message, group, error, attempts }: Burial, id: string, nowMs: number): Table {
  return {
    'evt-dead-id': id,
    'evt-dead-topic': message.topic,
    'evt-dead-at': message.at,
    'evt-dead-group': group,
    'evt-dead-class': error.class,
    'evt-dead-message': error.message,
    'evt-dead-attempts': attempts,
    'evt-dead-ms': nowMs,
  }
}

/** Headers that a death adds. What is replayed begins anew; its position in the log would make it look like a repetition. */
const ofDeath =
  /^(evt-dead-.*|evt-log|evt-log-id|x-death|x-delivery-count|x-acquired-count|x-(first|last)-death-.*|x-exception-.*|x-original-.*|MT-Fault-.*|MT-Reason|MT-Host-.*)$/

export const withoutDeath = (headers: Table | undefined): Record<string, unknown> =>
  Object.fromEntries(Object.entries(headers ?? {}).filter(([name]) => !ofDeath.test(name)))

/** All but its headers, as they can be published again. */
export function propertiesOf(delivery: Delivery) {
  const { messageId, mediaType, contentEncoding, correlationId, replyTo, type, appId, timestamp, priority } = delivery
  const given = {
    messageId,
    contentType: mediaType,
    contentEncoding,
    correlationId,
    replyTo,
    type,
    appId,
    timestamp,
    priority,
  }
  const known = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  return { ...known, durable: true }
}

/** Never throws: an undecodable one is listed as it is. `number` tells equal ones apart. */
export function toBuried(delivery: Delivery, deadLetterQueue: string, number: number): BuriedMessage {
  const grave = readGrave(delivery, deadLetterQueue)
  const first = idOf(delivery)
  const id = number === 1 ? first : `${first}#${number}`
  const {
    topic: _,
    at: __,
    deliveries: ___,
    timeMs: ____,
    ...message
  } = fromDelivery(delivery, grave.origin.topic ?? deadLetterQueue, id)
  const headers = Object.fromEntries(Object.entries(message.headers).filter(([name]) => !ofDeath.test(name)))
  return { ...grave, id, message: { ...message, headers } }
}

/** The same at every look: its own name, the message's, or its bytes. */
export function idOf({ headers, messageId, body }: Delivery): string {
  const own = headers?.['evt-dead-id']
  if (typeof own === 'string' && own !== '') return own
  if (messageId) return messageId
  return hash('sha256', Buffer.concat([Buffer.from(visibleText(headers ?? {})), body]), 'hex').slice(0, 32)
}

type Grave = Omit<BuriedMessage, 'id' | 'message'>

function readGrave({ headers = {}, timestamp }: Delivery, deadLetterQueue: string): Grave {
  const read = headers as Table
  return (
    ownGrave(read) ??
    massTransitGrave(read) ??
    brokerGrave(read, deadLetterQueue) ?? { origin: {}, ...springError(read), ...died(timestamp) }
  )
}

function ownGrave(headers: Table): Grave | undefined {
  const [topic, message] = [text(headers, 'evt-dead-topic'), text(headers, 'evt-dead-message')]
  if (topic === undefined || message === undefined) return undefined
  const [at, group] = [text(headers, 'evt-dead-at'), text(headers, 'evt-dead-group')]
  return {
    origin: { topic, ...(at !== undefined && { at }), ...(group !== undefined && { group }) },
    error: { class: text(headers, 'evt-dead-class') ?? 'Error', message },
    ...counted(headers['evt-dead-attempts']),
    ...died(headers['evt-dead-ms']),
  }
}

function brokerGrave(headers: Table, deadLetterQueue: string): Grave | undefined {
  const deaths = headers['x-death']
  const last = Array.isArray(deaths) ? ((deaths[0] ?? undefined) as Table | undefined) : undefined
  const queue = last === undefined ? undefined : text(last, 'queue')
  if (last === undefined || queue === undefined) return undefined
  const reason = text(last, 'reason') ?? 'unknown'
  const exchange = text(last, 'exchange')
  // A lane of evt's: `<topic>/<group>/<lane>`, whose dead letters lie in `<topic>.dlq`.
  const lane = /^(.+)\/([^/]+)\/\d+$/.exec(queue)
  const isOurs = lane !== null && deadLetterQueue === `${lane[1]}.dlq`
  const from = exchange ? `queue ${queue}, published to exchange ${exchange}` : `queue ${queue}`
  return {
    origin: isOurs ? { topic: lane[1] ?? '', group: lane[2] ?? '' } : { topic: queue },
    error: { class: reason, message: `${reasons[reason] ?? reason} (${from})` },
    ...springError(headers),
    ...counted(last.count),
    ...died(last.time),
  }
}

const reasons: Readonly<Record<string, string>> = {
  rejected: 'a consumer rejected it',
  expired: 'its time to live was over',
  maxlen: 'the queue was full',
  delivery_limit: 'it was delivered too often',
}

function springError(headers: Table): Pick<Grave, 'error'> {
  const message = text(headers, 'x-exception-message')
  if (message === undefined) return {}
  const stack = text(headers, 'x-exception-stacktrace')
  const name = /^[\w.$]+/.exec(stack ?? '')?.[0]
  return { error: { class: name ?? 'Exception', message, ...(stack && { stack }) } }
}

function massTransitGrave(headers: Table): Grave | undefined {
  const message = text(headers, 'MT-Fault-Message')
  if (message === undefined) return undefined
  const queue = /\/([^/?]+)(?:\?.*)?$/.exec(text(headers, 'MT-Fault-InputAddress') ?? '')?.[1]
  const stack = text(headers, 'MT-Fault-StackTrace')
  return {
    origin: queue === undefined ? {} : { topic: queue },
    error: { class: text(headers, 'MT-Fault-ExceptionType') ?? 'Exception', message, ...(stack && { stack }) },
    ...counted(headers['MT-Fault-RetryCount']),
    ...died(Date.parse(text(headers, 'MT-Fault-Timestamp') ?? '')),
  }
}

const text = (table: Table, name: string): string | undefined =>
  table[name] === undefined ? undefined : visibleText(table[name])

function counted(value: unknown): Pick<Grave, 'attempts'> {
  // A table of somebody's may have a `toString` that is none.
  const attempts = typeof value === 'object' ? Number.NaN : Number(value)
  return Number.isSafeInteger(attempts) && attempts > 0 ? { attempts } : {}
}

/** Seconds or milliseconds. */
function died(value: unknown): Pick<Grave, 'deadMs'> {
  if (typeof value !== 'number' || !Number.isFinite(value)) return {}
  return { deadMs: value > 1e11 ? value : value * 1_000 }
}
