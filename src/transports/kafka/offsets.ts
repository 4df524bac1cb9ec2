import { noSuspicion, type Suspicion } from '../suspicion.ts'
import type { Cluster } from './cluster.ts'
import { brokerError, throwIfFailed } from './errors.ts'
import { type LastLogs, maxLogs, moveOn } from './last-logs.ts'
import { kafkaCall } from './protocol.ts'
import { type Place, plain } from './wire.ts'

export const earliest = -2
export const latest = -1
const commitAnswerMs = 5_000

/** Names a partition in maps. */
export const placeKey = ({ topic, partition }: Place): string => `${topic}/${partition}`

/**
 * The first offset at or after a time (ms), or `earliest`, or `latest`: behind the last message that may be read. Where nothing is that
 * young, `latest`.
 */
export async function listOffsets(
  cluster: Cluster,
  places: readonly Place[],
  timeMs: number,
): Promise<ReadonlyMap<string, bigint>> {
  const offsets = new Map<string, bigint>()
  const byLeader = Map.groupBy(
    places,
    ({ topic, partition }) => cluster.known(topic)?.partitions[partition]?.leader ?? -1,
  )
  if (byLeader.has(-1)) {
    await cluster.refresh([...new Set(places.map(({ topic }) => topic))])
    throw brokerError(5)
  }
  await Promise.all(
    [...byLeader].map(async ([leader, own]) => {
      const topics = byTopic(own, ({ partition }) => ({ partition, timestamp: String(timeMs) }))
      const answer = await cluster.ask(leader, (versions) =>
        kafkaCall(versions, 'ListOffsets', { replicaId: -1, isolationLevel: 1, topics }),
      )
      for (const { topic, partitions } of answer.responses) {
        for (const { partition, errorCode, offset } of partitions) {
          await staleOrThrow(cluster, topic, errorCode)
          offsets.set(placeKey({ topic, partition }), BigInt(offset))
        }
      }
    }),
  )
  const none = places.filter((place) => (offsets.get(placeKey(place)) ?? -1n) < 0n)
  if (timeMs >= 0 && none.length > 0)
    for (const [key, offset] of await listOffsets(cluster, none, latest)) offsets.set(key, offset)
  return offsets
}

async function staleOrThrow(cluster: Cluster, topic: string, code: number): Promise<void> {
  if (code === 0) return
  await cluster.refresh([topic])
  throw brokerError(code)
}

/** What a group settled in a partition. */
export interface Committed {
  /** The next one to read. */
  readonly offset: bigint
  readonly note: CommitNote
}

/**
 * Our part of a commit's metadata; of others', nothing:
 *
 *   evt log=<position>@<log id> topic=<id> partitions=<count> started=<offset> suspects=<offset> guilty=<offset>*<deaths>
 *
 * `log` may come several times, and without an id. The offsets are those behind the message that is meant, as in the commit itself.
 */
export interface CommitNote {
  /** Of the last settled message of each log. */
  readonly logs: LastLogs
  /** Behind the last that was handed out; never before the commit's own offset. */
  readonly started: bigint
  /** What was known when the lane's owner began; places are offsets behind the message. */
  readonly suspicion: Suspicion
  readonly topicId?: string
  /** How many partitions the topic had. */
  readonly partitions?: number
}

/** Kafka takes 4096 bytes unless told otherwise. */
const maxLogIdBytes = 400

export function formatNote({ logs, started, suspicion, topicId, partitions }: CommitNote, offset: bigint): string {
  const { suspectTo, guilty, deaths } = suspicion
  const parts = [
    ...formatLogs(logs),
    topicId !== undefined && `topic=${topicId}`,
    partitions !== undefined && `partitions=${partitions}`,
    started > offset && `started=${started}`,
    suspectTo > offset && `suspects=${suspectTo}`,
    suspectTo > offset && guilty > offset && `guilty=${guilty}*${deaths}`,
  ]
  return ['evt', ...parts.filter((part) => part !== false)].join(' ')
}

function formatLogs(logs: LastLogs): string[] {
  return [...logs].slice(-maxLogs).flatMap(([id, position]) => {
    const encoded = encodeURIComponent(id.toWellFormed())
    // Nobody of ours calls a log so: what it repeats is handed out again after a restart.
    if (encoded.length > maxLogIdBytes) return []
    return [id === '' ? `log=${position}` : `log=${position}@${encoded}`]
  })
}

export function parseNote(metadata: string | null, offset: bigint): CommitNote {
  const logs = new Map<string, bigint>()
  if (metadata?.startsWith('evt ') !== true) return { logs, started: offset, suspicion: noSuspicion }
  for (const [, position = '', id = ''] of metadata.matchAll(/ log=(\d{1,19})(?:@(\S+))?(?= |$)/g))
    moveOn(logs, plain(id), BigInt(position))
  const topicId = / topic=([0-9a-f]{32})\b/.exec(metadata)?.[1]
  const partitions = / partitions=(\d{1,9})\b/.exec(metadata)?.[1]
  const [, guilty = '0', deaths = '0'] = / guilty=(\d{1,19})\*(\d{1,9})\b/.exec(metadata) ?? []
  return {
    logs,
    started: offsetIn(metadata, 'started') ?? offset,
    suspicion: { suspectTo: offsetIn(metadata, 'suspects') ?? 0n, guilty: BigInt(guilty), deaths: Number(deaths) },
    ...(topicId !== undefined && { topicId }),
    ...(partitions !== undefined && { partitions: Number(partitions) }),
  }
}

function offsetIn(metadata: string, name: 'started' | 'suspects'): bigint | undefined {
  const found = new RegExp(` ${name}=(\\d{1,19})\\b`).exec(metadata)?.[1]
  return found === undefined ? undefined : BigInt(found)
}

/** By `placeKey`; without an entry where the group never settled anything. */
export async function fetchCommitted(
  cluster: Cluster,
  group: string,
  places: readonly Place[],
): Promise<ReadonlyMap<string, Committed>> {
  const topics = byTopic(places, ({ partition }) => ({ partition }))
  const answer = await cluster.askCoordinator(group, (versions) =>
    kafkaCall(versions, 'OffsetFetch', { groupId: group, topics }),
  )
  throwIfGroupFailed(cluster, group, answer.errorCode)
  const committed = new Map<string, Committed>()
  for (const { topic, partitions } of answer.responses) {
    for (const { partition, offset, metadata, errorCode } of partitions) {
      throwIfGroupFailed(cluster, group, errorCode)
      if (BigInt(offset) >= 0n)
        committed.set(placeKey({ topic, partition }), {
          offset: BigInt(offset),
          note: parseNote(metadata, BigInt(offset)),
        })
    }
  }
  return committed
}

export function throwIfGroupFailed(cluster: Cluster, group: string, code: number): void {
  if (code !== 0) cluster.forgetCoordinator(group)
  throwIfFailed(code)
}

export interface Commit extends Place {
  readonly offset: bigint
  readonly note: CommitNote
}

export interface Membership {
  readonly group: string
  readonly generation: number
  readonly memberId: string
}

/** Throws what the coordinator answers for any of them. */
export async function commitOffsets(
  cluster: Cluster,
  { group, generation, memberId }: Membership,
  purpose: string,
  commits: readonly Commit[],
): Promise<void> {
  const topics = byTopic(commits, ({ partition, offset, note }) => ({
    partition,
    offset: String(offset),
    metadata: formatNote(note, offset),
  }))
  const parameters = { groupId: group, groupGenerationId: generation, memberId, topics }
  const answer = await cluster.askCoordinator(group, (versions) => kafkaCall(versions, 'OffsetCommit', parameters), {
    purpose,
    timeoutMs: commitAnswerMs,
  })
  for (const { partitions } of answer.responses)
    for (const { errorCode } of partitions) throwIfGroupFailed(cluster, group, errorCode)
}

function byTopic<P extends Place, T>(places: readonly P[], map: (place: P) => T): { topic: string; partitions: T[] }[] {
  return [...Map.groupBy(places, ({ topic }) => topic)].map(([topic, own]) => ({ topic, partitions: own.map(map) }))
}
