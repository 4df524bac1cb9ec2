// Dead letters as Spring for Apache Kafka writes them (KafkaHeaders, DeadLetterPublishingRecoverer): the record as it was, in the partition
// with the same number, and these headers; numbers are big-endian (partition and attempts int32, offset and timestamp int64), texts UTF-8.
import type { Burial, BuriedMessage } from '../transport.ts'
import type { RawHeader, RawRecord } from './records.ts'
import { offsetOf, partitionAt, readMessage, readRaw, visibleText } from './wire.ts'

const names = {
  topic: 'kafka_dlt-original-topic',
  partition: 'kafka_dlt-original-partition',
  offset: 'kafka_dlt-original-offset',
  timestamp: 'kafka_dlt-original-timestamp',
  timestampType: 'kafka_dlt-original-timestamp-type',
  group: 'kafka_dlt-original-consumer-group',
  exception: 'kafka_dlt-exception-fqcn',
  cause: 'kafka_dlt-exception-cause-fqcn',
  message: 'kafka_dlt-exception-message',
  stack: 'kafka_dlt-exception-stacktrace',
  attempts: 'kafka_deliveryAttempt',
} as const

const isOfDeath = (name: string) => name.startsWith('kafka_dlt-') || name === names.attempts

export function burialHeaders({ message, group, error, attempts }: Burial): readonly RawHeader[] {
  return [
    text(names.topic, message.topic),
    int32(names.partition, partitionAt(message.at)),
    int64(names.offset, offsetOf(message)),
    ...(message.timeMs === undefined
      ? []
      : [int64(names.timestamp, BigInt(message.timeMs)), text(names.timestampType, 'CreateTime')]),
    text(names.group, group),
    text(names.exception, error.class),
    text(names.message, error.message),
    int32(names.attempts, attempts),
  ]
}

export interface DeadRecord {
  readonly buried: BuriedMessage
  /** To be written again: the record without what its death added. */
  readonly raw: { readonly key: Buffer | null; readonly value: Buffer | null; readonly headers: readonly RawHeader[] }
}

/** A record of any dead-letter topic; what its headers do not say is left out. */
export function readDead(place: { readonly topic: string; readonly partition: number }, record: RawRecord): DeadRecord {
  const { key, value, headers } = readRaw(record.content)
  const find = (name: string) => headers.findLast((header) => header.name === name)?.value
  const textOf = (name: string) => {
    const bytes = find(name)
    return bytes ? visibleText(bytes) : undefined
  }
  const topic = textOf(names.topic)
  const [partition, offset] = [numberOf(find(names.partition)), numberOf(find(names.offset))]
  const at = partition === undefined || offset === undefined ? undefined : `${partition}:${offset}`
  const group = textOf(names.group)
  const error = { class: textOf(names.exception) ?? textOf(names.cause), message: textOf(names.message) ?? '' }
  const stack = textOf(names.stack)
  const attempts = numberOf(find(names.attempts))
  const { topic: _, at: here, timeMs, deliveries: __, ...whole } = readMessage(place, record)
  const kept = Object.fromEntries(Object.entries(whole.headers).filter(([name]) => !isOfDeath(name)))
  // Without an id of its own it has that of its place, and that was another one before.
  const id =
    whole.id === `${place.topic}@${here}` && topic !== undefined && at !== undefined ? `${topic}@${at}` : whole.id
  return {
    buried: {
      id: here,
      message: { ...whole, id, headers: kept },
      origin: {
        ...(topic !== undefined && { topic }),
        ...(at !== undefined && { at }),
        ...(group !== undefined && { group }),
      },
      ...(error.class !== undefined && { error: { ...error, class: error.class, ...(stack && { stack }) } }),
      ...(attempts !== undefined && { attempts: Number(attempts) }),
      ...(timeMs !== undefined && timeMs >= 0 && { deadMs: timeMs }),
    },
    raw: { key, value, headers: headers.filter(({ name }) => !isOfDeath(name)) },
  }
}

/** Spring's are binary; others write decimal text. */
function numberOf(bytes: Uint8Array | null | undefined): bigint | undefined {
  if (!bytes) return undefined
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (/^\d{1,19}$/.test(buffer.toString('latin1'))) return BigInt(buffer.toString('latin1'))
  if (buffer.length === 4) return BigInt(buffer.readInt32BE(0))
  return buffer.length === 8 ? buffer.readBigInt64BE(0) : undefined
}

const text = (name: string, value: string): RawHeader => ({ name, value: Buffer.from(value) })

function int32(name: string, value: number): RawHeader {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return { name, value: bytes }
}

function int64(name: string, value: bigint): RawHeader {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(value)
  return { name, value: bytes }
}
