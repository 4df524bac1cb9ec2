import { createReader, createWriter, type Reader } from './bytes.ts'
import type { Cluster } from './cluster.ts'
import { throwIfFailed, translate } from './errors.ts'
import type { Call, Versions } from './protocol.ts'

/**
 * `Kafka, 3 brokers, metadata.version 27`: a release is nothing that the protocol tells. Brokers before KRaft have no metadata.version.
 */
export async function aboutKafka(cluster: Cluster): Promise<string> {
  try {
    const { length } = await cluster.brokers()
    const features = await cluster.ask('any', featuresCall)
    const level = features.get('metadata.version')
    const brokers = length === 1 ? '1 broker' : `${length} brokers`
    return ['Kafka', brokers, ...(level === undefined ? [] : [`metadata.version ${level}`])].join(', ')
  } catch (error) {
    throw translate(error, `ask ${cluster.options.shown} what it is`)
  }
}

const apiKey = 18
/** The first that tells features: in tagged fields, the finalized ones under 2. */
const apiVersion = 3
const finalizedTag = 2

/** Finalized feature → level; empty where the broker is too old to have any. */
function featuresCall(versions: Versions): Call<ReadonlyMap<string, number>> {
  const isOld = (versions[apiKey]?.maxVersion ?? 0) < apiVersion
  return {
    name: 'ApiVersions',
    apiKey,
    apiVersion: isOld ? 0 : apiVersion,
    flexible: !isOld,
    plainAnswer: true,
    encode() {
      const writer = createWriter(32)
      if (isOld) return writer.bytes
      writer.compactString('evt')
      writer.compactString('1')
      writer.uvarint(0)
      return writer.bytes
    },
    decode: (payload) => (isOld ? new Map() : readFeatures(createReader(payload))),
  }
}

function readFeatures(reader: Reader): ReadonlyMap<string, number> {
  throwIfFailed(reader.int16())
  for (let count = reader.uvarint(); count > 1; count--) {
    reader.slice(3 * 2)
    reader.tags()
  }
  reader.int32()
  const features = new Map<string, number>()
  for (let tags = reader.uvarint(); tags > 0; tags--) {
    const tag = reader.uvarint()
    const field = reader.slice(reader.uvarint())
    if (tag === finalizedTag) readFinalized(createReader(field), features)
  }
  return features
}

/** name, then the highest and the lowest level that are in force. */
function readFinalized(reader: Reader, features: Map<string, number>): void {
  for (let count = reader.uvarint(); count > 1; count--) {
    const name = reader.compactString() ?? ''
    features.set(name, reader.int16())
    reader.int16()
    reader.tags()
  }
}
