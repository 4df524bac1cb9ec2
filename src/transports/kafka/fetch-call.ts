import { createReader, createWriter, type Reader, type Writer } from './bytes.ts'
import { type Call, chooseVersion, type Versions } from './protocol.ts'
import type { AbortedTransaction } from './records.ts'

export interface FetchPart {
  readonly topic: string
  readonly topicId: string | undefined
  readonly partition: number
  readonly offset: bigint
}

export interface FetchOptions {
  readonly maxWaitMs: number
  readonly maxBytes: number
  readonly maxPartitionBytes: number
}

export interface Fetched {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  /** Behind the last message that may be read. */
  readonly lastStable: bigint
  readonly logStart: bigint
  readonly aborted: readonly AbortedTransaction[]
  readonly records: Buffer
}

const apiKey = 1
/** From here on topics go by id: one that was made anew is another topic. */
const byId = 13
const older = 11

/** Committed messages only. */
export function fetchCall(
  versions: Versions,
  parts: readonly FetchPart[],
  options: FetchOptions,
): Call<readonly Fetched[]> {
  const flexible = (versions[apiKey]?.maxVersion ?? 0) >= byId && parts.every(({ topicId }) => topicId !== undefined)
  return {
    name: 'Fetch',
    apiKey,
    apiVersion: flexible ? byId : chooseVersion(versions, 'Fetch', apiKey, older, 4),
    flexible,
    encode: () => encode(parts, options, flexible),
    decode: (payload) => decode(createReader(payload), parts, flexible),
  }
}

function encode(
  parts: readonly FetchPart[],
  { maxWaitMs, maxBytes, maxPartitionBytes }: FetchOptions,
  flexible: boolean,
): Buffer {
  const writer = createWriter(128 + parts.length * 96)
  const tags = () => flexible && writer.uvarint(0)
  writer.int32(-1)
  writer.int32(maxWaitMs)
  writer.int32(1)
  writer.int32(maxBytes)
  writer.int8(1)
  writer.int32(0)
  writer.int32(-1)
  count(writer, parts.length, flexible)
  for (const { topic, topicId = '', partition, offset } of parts) {
    if (flexible) writer.raw(Buffer.from(topicId, 'hex'))
    else writer.string(topic)
    count(writer, 1, flexible)
    writer.int32(partition)
    writer.int32(-1)
    writer.int64(offset)
    if (flexible) writer.int32(-1)
    writer.int64(-1n)
    writer.int32(maxPartitionBytes)
    tags()
    tags()
  }
  count(writer, 0, flexible)
  if (flexible) writer.compactString('')
  else writer.string('')
  tags()
  return writer.bytes
}

function count(writer: Writer, length: number, flexible: boolean): void {
  if (flexible) writer.uvarint(length + 1)
  else writer.int32(length)
}

function decode(reader: Reader, parts: readonly FetchPart[], flexible: boolean): Fetched[] {
  const length = () => (flexible ? reader.uvarint() - 1 : reader.int32())
  const tags = () => flexible && reader.tags()
  reader.at += 10
  const fetched: Fetched[] = []
  for (let topics = length(); topics > 0; topics--) {
    const name = flexible ? reader.slice(16).toString('hex') : (reader.string() ?? '')
    const topic = flexible ? (parts.find(({ topicId }) => topicId === name)?.topic ?? '') : name
    for (let partitions = length(); partitions > 0; partitions--) {
      const [partition, errorCode] = [reader.int32(), reader.int16()]
      const [, lastStable, logStart] = [reader.int64(), reader.int64(), reader.int64()]
      const aborted = Array.from({ length: Math.max(0, length()) }, () => {
        const transaction = { producerId: reader.int64(), firstOffset: reader.int64() }
        tags()
        return transaction
      })
      reader.int32()
      const records = reader.slice(Math.max(0, length()))
      tags()
      fetched.push({ topic, partition, errorCode, lastStable, logStart, aborted, records })
    }
    tags()
  }
  return fetched
}
