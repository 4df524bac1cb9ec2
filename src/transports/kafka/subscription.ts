// What members of a consumer group tell each other (org.apache.kafka.clients.consumer.internals.ConsumerProtocol), so that Kafka's own
// tools show our groups, and Java clients with the CooperativeStickyAssignor can share them:
//   Subscription 2: version int16, topics [string], userData bytes, owned [topic string, [int32]], generation int32
//   Assignment 0: version int16, [topic string, [int32]], userData bytes
// Our user data: generation int32 (as the Java assignor has it), then int8: 1 when the member takes no more.
import { createReader, createWriter, type Reader, type Writer } from './bytes.ts'
import type { Place } from './wire.ts'

export interface Subscription {
  readonly topics: readonly string[]
  readonly owned: readonly Place[]
  /** Of which the ownership is; -1 for none. */
  readonly generation: number
  /** False: it keeps what it has until it is finished with it, and gets nothing more. */
  readonly isClaiming: boolean
}

export function encodeSubscription({ topics, owned, generation, isClaiming }: Subscription): Buffer {
  const writer = createWriter(256)
  writer.int16(2)
  writer.int32(topics.length)
  for (const topic of topics) writer.string(topic)
  writer.int32(5)
  writer.int32(generation)
  writer.int8(isClaiming ? 0 : 1)
  writePlaces(writer, owned)
  writer.int32(generation)
  return writer.bytes
}

/** Of foreign clients too. Throws RangeError for what is none. */
export function decodeSubscription(bytes: Buffer): Subscription {
  const reader = createReader(bytes)
  const version = reader.int16()
  const topics = Array.from({ length: countIn(reader) }, () => reader.string() ?? '')
  const userData = reader.slice(Math.max(0, reader.int32()))
  const owned = version >= 1 ? readPlaces(reader) : []
  const generation = version >= 2 ? reader.int32() : -1
  return { topics, owned, generation, isClaiming: userData.length !== 5 || userData[4] !== 1 }
}

export function encodeAssignment(places: readonly Place[]): Buffer {
  const writer = createWriter(256)
  writer.int16(0)
  writePlaces(writer, places)
  writer.int32(-1)
  return writer.bytes
}

export function decodeAssignment(bytes: Buffer): readonly Place[] {
  if (bytes.length < 6) return []
  const reader = createReader(bytes)
  reader.int16()
  return readPlaces(reader)
}

function writePlaces(writer: Writer, places: readonly Place[]): void {
  const byTopic = Map.groupBy(places, ({ topic }) => topic)
  writer.int32(byTopic.size)
  for (const [topic, own] of byTopic) {
    writer.string(topic)
    writer.int32(own.length)
    for (const { partition } of own) writer.int32(partition)
  }
}

function readPlaces(reader: Reader): Place[] {
  return Array.from({ length: countIn(reader) }, () => {
    const topic = reader.string() ?? ''
    return Array.from({ length: countIn(reader) }, () => ({ topic, partition: reader.int32() }))
  }).flat()
}

/** Before anything is made for so many: each takes a byte at least. */
function countIn(reader: Reader): number {
  const count = reader.int32()
  if (count > reader.left) throw new RangeError('a list goes past the end')
  return count
}
