import { createReader, createWriter, type Reader } from './bytes.ts'
import { brokerError } from './errors.ts'
import { type Call, chooseVersion, kafkaCall, type Versions } from './protocol.ts'

export interface BrokerInfo {
  readonly node: number
  readonly host: string
  readonly port: number
}

export interface PartitionInfo {
  readonly partition: number
  /** The node that leads it; -1 for none. */
  readonly leader: number
  readonly replicas: number
}

export interface TopicInfo {
  readonly name: string
  /** Changes when a topic is deleted and made again; undefined before Kafka 2.8. */
  readonly id: string | undefined
  readonly isInternal: boolean
  /** By number. */
  readonly partitions: readonly PartitionInfo[]
}

export interface Metadata {
  readonly brokers: readonly BrokerInfo[]
  /** Without those that do not exist. */
  readonly topics: ReadonlyMap<string, TopicInfo>
}

const apiKey = 3
/** Versions 10 and up name topics by id too, and 12 is the newest that we can read. */
const newest = 12

/** Asks for these topics, or for all. Makes no topic. */
export function metadataCall(versions: Versions, names: readonly string[] | 'all'): Call<Metadata> {
  const offered = versions[apiKey]
  if ((offered?.maxVersion ?? 0) < newest) return olderCall(versions, names)
  return {
    name: 'Metadata',
    apiKey,
    apiVersion: chooseVersion(versions, 'Metadata', apiKey, newest),
    flexible: true,
    encode() {
      const writer = createWriter(256)
      writer.uvarint(names === 'all' ? 0 : names.length + 1)
      for (const name of names === 'all' ? [] : names) {
        writer.int64(0n)
        writer.int64(0n)
        writer.compactString(name)
        writer.uvarint(0)
      }
      writer.int8(0)
      writer.int8(0)
      writer.uvarint(0)
      return writer.bytes
    },
    decode,
  }
}

function decode(payload: Buffer): Metadata {
  const reader = createReader(payload)
  reader.int32()
  const brokers = list(reader, () => {
    const broker = { node: reader.int32(), host: reader.compactString() ?? '', port: reader.int32() }
    reader.compactString()
    reader.tags()
    return broker
  })
  reader.compactString()
  reader.int32()
  const topics = new Map<string, TopicInfo>()
  list(reader, () => {
    const code = reader.int16()
    const name = reader.compactString() ?? ''
    const id = reader.slice(16).toString('hex')
    const isInternal = reader.int8() !== 0
    const partitions = list(reader, () => readPartition(reader))
    reader.int32()
    reader.tags()
    add(topics, code, { name, id, isInternal, partitions })
  })
  return { brokers, topics }
}

function readPartition(reader: Reader): PartitionInfo {
  reader.int16()
  const partition = reader.int32()
  const leader = reader.int32()
  reader.int32()
  const replicas = list(reader, () => reader.int32()).length
  list(reader, () => reader.int32())
  list(reader, () => reader.int32())
  reader.tags()
  return { partition, leader, replicas }
}

function list<T>(reader: Reader, read: () => T): T[] {
  return Array.from({ length: Math.max(0, reader.uvarint() - 1) }, read)
}

const missing = new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'INVALID_TOPIC_EXCEPTION', 'UNKNOWN_TOPIC_ID'])

function add(topics: Map<string, TopicInfo>, code: number, topic: TopicInfo): void {
  const error = code === 0 ? undefined : brokerError(code)
  // Leaders are being elected: the topic is there.
  if (error === undefined || error.type === 'LEADER_NOT_AVAILABLE') {
    topics.set(topic.name, { ...topic, partitions: topic.partitions.toSorted((a, b) => a.partition - b.partition) })
  } else if (!missing.has(error.type)) throw error
}

function olderCall(versions: Versions, names: readonly string[] | 'all'): Call<Metadata> {
  const call = kafkaCall(versions, 'Metadata', { topics: names === 'all' ? [] : names, allowAutoTopicCreation: false })
  return {
    ...call,
    async decode(payload) {
      const { brokers, topicMetadata } = await call.decode(payload)
      const topics = new Map<string, TopicInfo>()
      for (const { topicErrorCode, topic, isInternal = false, partitionMetadata } of topicMetadata) {
        const partitions = partitionMetadata.map(({ partitionId, leader, replicas }) => ({
          partition: partitionId,
          leader,
          replicas: replicas.length,
        }))
        add(topics, topicErrorCode, { name: topic, id: undefined, isInternal, partitions })
      }
      return { brokers: brokers.map(({ nodeId, host, port }) => ({ node: nodeId, host, port })), topics }
    },
  }
}
