// Calls of Kafka's protocol: kafkajs' codecs for what is rare, our own where the hot path or a newer version needs them.
import apiKeys from 'kafkajs/src/protocol/requests/apiKeys.js'
import protocol from 'kafkajs/src/protocol/requests/index.js'
import { EvtError } from '../../core/errors.ts'

/** One request and what becomes of its answer. */
export interface Call<T> {
  readonly name: string
  readonly apiKey: number
  readonly apiVersion: number
  /** Flexible versions have tagged fields in the header too. */
  readonly flexible?: boolean
  /** The answer's header has none, as that of ApiVersions in any version. */
  readonly plainAnswer?: boolean
  encode(): Promise<Uint8Array> | Uint8Array
  decode(payload: Buffer): Promise<T> | T
}

/** What a broker can do: API key → versions. */
export type Versions = Readonly<Record<number, { readonly minVersion: number; readonly maxVersion: number }>>

/** The answers that we read, by the name of the call in kafkajs. */
export interface Answers {
  ApiVersions: { apiVersions: { apiKey: number; minVersion: number; maxVersion: number }[] }
  Metadata: {
    brokers: { nodeId: number; host: string; port: number }[]
    topicMetadata: {
      topicErrorCode: number
      topic: string
      isInternal?: boolean
      partitionMetadata: {
        partitionErrorCode: number
        partitionId: number
        leader: number
        replicas: number[]
        isr: number[]
      }[]
    }[]
  }
  GroupCoordinator: { errorCode: number; coordinator: { nodeId: number; host: string; port: number } }
  JoinGroup: {
    errorCode: number
    generationId: number
    groupProtocol: string
    leaderId: string
    memberId: string
    members: { memberId: string; memberMetadata: Buffer }[]
  }
  SyncGroup: { errorCode: number; memberAssignment: Buffer | null }
  Heartbeat: { errorCode: number }
  LeaveGroup: { errorCode: number }
  OffsetCommit: { responses: { topic: string; partitions: { partition: number; errorCode: number }[] }[] }
  OffsetFetch: {
    errorCode: number
    responses: {
      topic: string
      partitions: { partition: number; offset: string; metadata: string | null; errorCode: number }[]
    }[]
  }
  ListOffsets: {
    responses: {
      topic: string
      partitions: { partition: number; errorCode: number; timestamp: string; offset: string }[]
    }[]
  }
  ListGroups: { errorCode: number; groups: { groupId: string; protocolType: string }[] }
  DescribeGroups: {
    groups: {
      errorCode: number
      groupId: string
      state: string
      protocolType: string
      members: {
        memberId: string
        clientId: string
        clientHost: string
        memberMetadata: Buffer
        memberAssignment: Buffer
      }[]
    }[]
  }
  CreateTopics: { topicErrors: { topic: string; errorCode: number; errorMessage: string | null }[] }
  DeleteTopics: { topicErrors: { topic: string; errorCode: number }[] }
  DeleteGroups: { results: { groupId: string; errorCode: number }[] }
  DescribeConfigs: {
    resources: {
      errorCode: number
      errorMessage: string | null
      resourceName: string
      configEntries: { configName: string; configValue: string | null; isDefault: boolean }[]
    }[]
  }
  InitProducerId: { errorCode: number; producerId: string; producerEpoch: number }
}

/** A call in the newest version that both sides know. Throws `unsupported` when there is none. */
export function kafkaCall<Name extends keyof Answers>(
  versions: Versions,
  name: Name,
  parameters: object,
): Call<Answers[Name]> {
  const definition = protocol.requests[name]
  const apiKey = apiKeys[name]
  if (definition === undefined || apiKey === undefined) throw new EvtError('internal', `cannot ask Kafka for ${name}`)
  const version = chooseVersion(versions, name, apiKey, Math.max(...definition.versions.map(Number)))
  const { request, response } = definition.protocol({ version })(parameters)
  return {
    name,
    apiKey: request.apiKey,
    apiVersion: request.apiVersion,
    encode: async () => (await request.encode()).buffer,
    decode: async (payload) => (await response.decode(payload)) as Answers[Name],
  }
}

/** The newest version up to `newest` that the broker has. Throws `unsupported` when there is none. */
export function chooseVersion(versions: Versions, name: string, apiKey: number, newest: number, oldest = 0): number {
  const offered = versions[apiKey]
  const version = Math.min(newest, offered?.maxVersion ?? -1)
  if (offered !== undefined && version >= offered.minVersion && version >= oldest) return version
  const range =
    offered === undefined ? 'has no such call' : `has versions ${offered.minVersion} to ${offered.maxVersion}`
  throw new EvtError('unsupported', `cannot call ${name} of Kafka: the broker ${range}, evt knows up to ${newest}`, {
    hint: 'evt is tested with Kafka 4.1; brokers before 1.0 are too old',
  })
}
