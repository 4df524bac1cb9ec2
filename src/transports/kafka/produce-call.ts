import { createReader, createWriter } from './bytes.ts'
import { type Call, chooseVersion, type Versions } from './protocol.ts'

export interface PartitionBatch {
  readonly topic: string
  readonly partition: number
  readonly bytes: Buffer
}

export interface Produced {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  /** -1 where the broker has it already and no longer knows where. */
  readonly baseOffset: bigint
}

const apiKey = 0
const newest = 7
/** The broker's own bound on waiting for replicas. */
const replicaTimeoutMs = 5_000

/** acks=all. One batch a partition. */
export function produceCall(versions: Versions, batches: readonly PartitionBatch[]): Call<readonly Produced[]> {
  return {
    name: 'Produce',
    apiKey,
    apiVersion: chooseVersion(versions, 'Produce', apiKey, newest, 3),
    encode() {
      const writer = createWriter(
        batches.reduce((sum, { topic, bytes }) => sum + bytes.length + topic.length * 3 + 32, 64),
      )
      writer.string(null)
      writer.int16(-1)
      writer.int32(replicaTimeoutMs)
      // The same topic may come several times.
      writer.int32(batches.length)
      for (const { topic, partition, bytes } of batches) {
        writer.string(topic)
        writer.int32(1)
        writer.int32(partition)
        writer.int32(bytes.length)
        writer.raw(bytes)
      }
      return writer.bytes
    },
    decode(payload) {
      const reader = createReader(payload)
      const produced: Produced[] = []
      for (let topics = reader.int32(); topics > 0; topics--) {
        const topic = reader.string() ?? ''
        for (let partitions = reader.int32(); partitions > 0; partitions--) {
          const [partition, errorCode, baseOffset] = [reader.int32(), reader.int16(), reader.int64()]
          reader.at += 16
          produced.push({ topic, partition, errorCode, baseOffset })
        }
      }
      return produced
    },
  }
}
