import { type Cluster, persist } from './cluster.ts'
import { throwIfFailed } from './errors.ts'
import { fetchCall } from './fetch-call.ts'
import { createIntake, type Intake } from './intake.ts'
import type { TopicInfo } from './metadata.ts'
import { earliest, latest, listOffsets, placeKey } from './offsets.ts'
import type { RawRecord } from './records.ts'
import type { Place } from './wire.ts'

const batchSize = 200
const bounds = { maxWaitMs: 100, maxBytes: 1024 * 1024, maxPartitionBytes: 1024 * 1024 }

export interface ReadAllOptions<T> {
  read(place: Place, record: RawRecord): T
  timeOf(item: T): number
  readonly signal: AbortSignal
}

interface Part<T> {
  readonly place: Place
  readonly intake: Intake<T>
  readonly end: bigint
  head: T | undefined
}

/** All that a topic holds now, oldest first over its partitions. Ends early when `signal` aborts. */
export async function* readAll<T>(
  cluster: Cluster,
  topic: TopicInfo,
  { read, timeOf, signal }: ReadAllOptions<T>,
): AsyncGenerator<readonly T[]> {
  const places = topic.partitions.map(({ partition }) => ({ topic: topic.name, partition }))
  const [starts, ends] = await persist(
    signal,
    async () => [await listOffsets(cluster, places, earliest), await listOffsets(cluster, places, latest)] as const,
  )
  let parts = places.map((place): Part<T> => {
    const intake = createIntake({
      from: starts.get(placeKey(place)) ?? 0n,
      read: (record) => read(place, record),
      onSkipped() {},
    })
    return { place, intake, end: ends.get(placeKey(place)) ?? 0n, head: undefined }
  })
  let batch: T[] = []
  while (!signal.aborted) {
    for (const part of parts) part.head ??= await nextOf(cluster, topic, part, signal)
    parts = parts.filter(({ head }) => head !== undefined)
    const oldest = parts.reduce<Part<T> | undefined>(
      (best, part) =>
        best?.head === undefined || (part.head !== undefined && timeOf(part.head) < timeOf(best.head)) ? part : best,
      undefined,
    )
    if (oldest?.head === undefined) break
    batch.push(oldest.head)
    oldest.head = undefined
    if (batch.length < batchSize) continue
    yield batch
    batch = []
  }
  if (batch.length > 0 && !signal.aborted) yield batch
}

async function nextOf<T>(
  cluster: Cluster,
  topic: TopicInfo,
  { place, intake, end }: Part<T>,
  signal: AbortSignal,
): Promise<T | undefined> {
  while (!signal.aborted && intake.reached < end) {
    const item = intake.next()
    if (item !== undefined) return item
    if (intake.reached >= end) break
    await persist(
      signal,
      async () => intake.add(await fetchOne(cluster, topic, place, intake.fetchFrom)),
      () => void cluster.refresh([place.topic]).catch(() => {}),
    )
  }
  return undefined
}

/** What one partition has from an offset on: at least one whole batch, if there is one. */
export async function fetchOne(cluster: Cluster, topic: TopicInfo, { partition }: Place, offset: bigint) {
  const leader = (cluster.known(topic.name) ?? topic).partitions[partition]?.leader ?? -1
  const part = { topic: topic.name, topicId: topic.id, partition, offset }
  const [answer] = await cluster.ask(leader, (versions) => fetchCall(versions, [part], bounds), { purpose: 'read' })
  throwIfFailed(answer?.errorCode ?? -1)
  if (answer === undefined) throw new Error('unreachable')
  return answer
}
