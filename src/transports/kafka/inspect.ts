import type { GroupState, Inspection, ServerProblem } from '../transport.ts'
import { type Cluster, persist } from './cluster.ts'
import { describeBroker, describeTopic } from './configs.ts'
import { throwIfFailed, translate } from './errors.ts'
import { fetchCall } from './fetch-call.ts'
import type { TopicInfo } from './metadata.ts'
import { type Committed, earliest, fetchCommitted, latest, listOffsets, placeKey } from './offsets.ts'
import { kafkaCall } from './protocol.ts'
import { createRecordCursor } from './records.ts'
import { decodeAssignment } from './subscription.ts'
import type { Place } from './wire.ts'

type Offsets = ReadonlyMap<string, bigint>

export async function inspectKafka(cluster: Cluster, names: readonly string[]): Promise<Inspection> {
  return persist(cluster.closing, async () => {
    const found = [...(await cluster.refresh(names)).values()]
    const places = found.flatMap(placesOf)
    const [starts, ends] = await Promise.all([
      listOffsets(cluster, places, earliest),
      listOffsets(cluster, places, latest),
    ])
    const topics = await Promise.all(found.map((topic) => topicState(cluster, topic, starts, ends)))
    return { topics, groups: await groupStates(cluster, found, starts, ends) }
  }).catch((error: unknown) => {
    throw translate(error, `inspect ${names.join(', ')}`)
  })
}

const placesOf = ({ name, partitions }: TopicInfo): Place[] =>
  partitions.map(({ partition }) => ({ topic: name, partition }))

async function topicState(cluster: Cluster, topic: TopicInfo, starts: Offsets, ends: Offsets) {
  const places = placesOf(topic)
  const sizeOf = (place: Place) => Number((ends.get(placeKey(place)) ?? 0n) - (starts.get(placeKey(place)) ?? 0n))
  const filled = places.filter((place) => sizeOf(place) > 0)
  const times = await timesAt(
    cluster,
    filled.map((place) => ({ ...place, offset: (ends.get(placeKey(place)) ?? 1n) - 1n })),
  )
  const state = {
    topic: topic.name,
    messages: places.reduce((sum, place) => sum + sizeOf(place), 0),
    head: places.map((place) => `${place.partition}:${ends.get(placeKey(place)) ?? 0n}`).join(','),
  }
  return times.length === 0 ? state : { ...state, lastTimeMs: Math.max(...times) }
}

/** When what lies at these offsets, or next after them, was stored. */
async function timesAt(
  cluster: Cluster,
  at: readonly (Place & { readonly offset: bigint })[],
): Promise<readonly number[]> {
  const found = await Promise.all(
    at.map(async ({ topic, partition, offset }) => {
      const info = cluster.known(topic)
      const part = { topic, topicId: info?.id, partition, offset }
      // One batch comes whatever the bound is, but only for the first partition of a call.
      const bounds = { maxWaitMs: 0, maxBytes: 1, maxPartitionBytes: 1 }
      const leader = info?.partitions[partition]?.leader ?? -1
      const [answer] = await cluster.ask(leader, (versions) => fetchCall(versions, [part], bounds))
      if (answer === undefined || answer.errorCode !== 0) return []
      return timeOf(() => createRecordCursor(answer.records, offset, answer.aborted).next()?.timeMs)
    }),
  )
  return found.flat()
}

function timeOf(read: () => number | undefined): readonly number[] {
  try {
    const time = read()
    return time === undefined ? [] : [time]
  } catch {
    return []
  }
}

interface FoundGroup {
  readonly group: string
  readonly state: string
  /** What each member has. */
  readonly members: readonly (readonly Place[])[]
}

/** Every group of consumers in the cluster that this user may see. */
export async function consumerGroups(cluster: Cluster): Promise<readonly FoundGroup[]> {
  const brokers = await cluster.brokers()
  const perBroker = await Promise.all(
    brokers.map(async ({ node }) => {
      const { errorCode, groups } = await cluster.ask(node, (versions) => kafkaCall(versions, 'ListGroups', {}))
      throwIfFailed(errorCode)
      const names = groups
        .filter(({ protocolType }) => protocolType === 'consumer' || protocolType === '')
        .map(({ groupId }) => groupId)
      if (names.length === 0) return []
      const described = await cluster.ask(node, (versions) =>
        kafkaCall(versions, 'DescribeGroups', { groupIds: names }),
      )
      return described.groups.map(({ groupId, state, members }) => ({
        group: groupId,
        state,
        members: members.map(({ memberAssignment }) => assignmentOf(memberAssignment)),
      }))
    }),
  )
  return perBroker.flat().toSorted((a, b) => (a.group < b.group ? -1 : 1))
}

function assignmentOf(bytes: Buffer): readonly Place[] {
  try {
    return decodeAssignment(bytes)
  } catch {
    return []
  }
}

async function groupStates(
  cluster: Cluster,
  topics: readonly TopicInfo[],
  starts: Offsets,
  ends: Offsets,
): Promise<readonly GroupState[]> {
  const groups = await consumerGroups(cluster)
  const states = await Promise.all(
    groups.map(async ({ group, members }) => {
      const committed = await fetchCommitted(cluster, group, topics.flatMap(placesOf))
      return Promise.all(
        topics.map(async (topic) => {
          const has = placesOf(topic).some((place) => committed.has(placeKey(place)))
          const count = members.filter((places) => places.some((place) => place.topic === topic.name)).length
          return has || count > 0 ? [await groupState(cluster, { group, topic, committed, count, starts, ends })] : []
        }),
      )
    }),
  )
  return states.flat(2)
}

interface Asked {
  readonly group: string
  readonly topic: TopicInfo
  readonly committed: ReadonlyMap<string, Committed>
  readonly count: number
  readonly starts: Offsets
  readonly ends: Offsets
}

async function groupState(
  cluster: Cluster,
  { group, topic, committed, count, starts, ends }: Asked,
): Promise<GroupState> {
  const behind = placesOf(topic).flatMap((place) => {
    const start = starts.get(placeKey(place)) ?? 0n
    const offset = committed.get(placeKey(place))?.offset ?? start
    const lag = (ends.get(placeKey(place)) ?? 0n) - offset
    return lag > 0n ? [{ ...place, offset: offset < start ? start : offset, lag }] : []
  })
  const times = await timesAt(cluster, behind)
  const lagMessages = behind.reduce((sum, { lag }) => sum + Number(lag), 0)
  const state = { group, topic: topic.name, lagMessages, members: count }
  return times.length === 0 ? state : { ...state, oldestAgeMs: Math.max(0, Date.now() - Math.min(...times)) }
}

/** Every group of the cluster with its members and what it committed in these topics: what a reader could have left behind. */
export async function footprintKafka(
  cluster: Cluster,
  names: readonly string[],
): Promise<Readonly<Record<string, string>>> {
  return persist(cluster.closing, async () => {
    const found = await cluster.refresh(names)
    const places = [...found.values()].flatMap(placesOf)
    const groups = await consumerGroups(cluster)
    const facts: Record<string, string> = { groups: String(groups.length) }
    for (const { group, state, members } of groups) {
      facts[`group ${group}`] = `${state}, ${members.length} members`
      for (const [key, { offset }] of await fetchCommitted(cluster, group, places))
        facts[`group ${group} at ${key}`] = String(offset)
    }
    return facts
  }).catch((error: unknown) => {
    throw translate(error, `look at the groups of ${names.join(', ')}`)
  })
}

/** What this user may not see is passed over. */
export async function checkKafka(cluster: Cluster, names: readonly string[]): Promise<readonly ServerProblem[]> {
  const brokers = await cluster.brokers()
  const [first] = brokers
  const server = first && (await describeBroker(cluster, first.node).catch(() => undefined))
  const topics = [...(await cluster.refresh(names.filter((name) => !name.includes('*')))).values()]
  const perTopic = await Promise.all(
    topics.map(async (topic) =>
      topicProblems(
        topic,
        brokers.length,
        await describeTopic(cluster, topic.name).catch(() => new Map<string, string>()),
      ),
    ),
  )
  return [...serverProblems(server ?? new Map(), brokers.length), ...perTopic.flat()]
}

function serverProblems(settings: ReadonlyMap<string, string>, brokers: number): ServerProblem[] {
  const problems: ServerProblem[] = []
  const offsetReplicas = Number(settings.get('offsets.topic.replication.factor'))
  const remembered = Number(settings.get('offsets.retention.minutes'))
  if (brokers > 1 && offsetReplicas === 1) {
    problems.push({
      problem: 'the positions of groups have one replica',
      remedy: 'offsets.topic.replication.factor=3, and reassign __consumer_offsets',
    })
  }
  if (remembered > 0 && remembered < 7 * 24 * 60) {
    problems.push({
      problem: `a group that is away for ${remembered} minutes loses its position`,
      remedy: 'offsets.retention.minutes=10080',
    })
  }
  return problems
}

function topicProblems(
  { name, partitions }: TopicInfo,
  brokers: number,
  settings: ReadonlyMap<string, string>,
): ServerProblem[] {
  const problems: ServerProblem[] = []
  const replicas = Math.min(...partitions.map((partition) => partition.replicas))
  if (brokers > 1 && replicas === 1) {
    problems.push({
      problem: `${name} has one replica on ${brokers} brokers: it is lost with its broker`,
      remedy: 'kafka-reassign-partitions, with three replicas',
    })
  }
  if (replicas > 1 && settings.get('min.insync.replicas') === '1') {
    problems.push({
      problem: `${name} is confirmed when one replica has it`,
      remedy: `kafka-configs --alter --topic ${name} --add-config min.insync.replicas=2`,
    })
  }
  if (settings.get('unclean.leader.election.enable') === 'true') {
    problems.push({
      problem: `${name} may lose confirmed messages in an unclean election`,
      remedy: `kafka-configs --alter --topic ${name} --add-config unclean.leader.election.enable=false`,
    })
  }
  if (settings.get('cleanup.policy')?.includes('compact') === true) {
    problems.push({
      problem: `${name} is compacted: of a subject only the last event stays`,
      remedy: `kafka-configs --alter --topic ${name} --add-config cleanup.policy=delete`,
    })
  }
  return problems
}
