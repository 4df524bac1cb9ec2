import { EvtError } from '../../core/errors.ts'
import { afterDeath, noSuspicion, type Suspicion } from '../suspicion.ts'
import { type Cluster, persist } from './cluster.ts'
import type { LastLogs } from './last-logs.ts'
import type { TopicInfo } from './metadata.ts'
import { type Committed, earliest, fetchCommitted, latest, listOffsets, placeKey } from './offsets.ts'
import type { Place } from './wire.ts'

/** Where a lane begins, and what the group knows of it. */
export interface LaneStart {
  readonly place: Place
  readonly topicId: string | undefined
  readonly partitions: number
  readonly from: bigint
  readonly logs: LastLogs
  /** Of what owners that died had in hand; places are offsets behind the message. */
  readonly suspicion: Suspicion
  readonly isNew: boolean
}

export interface LaneStarts {
  readonly starts: readonly LaneStart[]
  readonly problems: readonly EvtError[]
}

export interface LaneStartsOptions {
  readonly cluster: Cluster
  readonly group: string
  readonly places: readonly Place[]
  readonly start: 'earliest' | 'latest'
  /** Topics that this member saw vanish and come back: all that is in them is new. */
  readonly madeAnew: ReadonlySet<string>
}

/** Leaves out, with a problem, the partitions of topics whose number of partitions is not what the group knew. */
export async function laneStarts({ cluster, group, places, start, madeAnew }: LaneStartsOptions): Promise<LaneStarts> {
  return persist(cluster.closing, async () => {
    const topics = await cluster.refresh([...new Set(places.map(({ topic }) => topic))])
    const all = [...topics.values()].flatMap(({ name, partitions }) =>
      partitions.map(({ partition }) => ({ topic: name, partition })),
    )
    const committed = await fetchCommitted(cluster, group, all)
    const problems = new Map<string, EvtError>()
    for (const topic of topics.values()) {
      const before = countBefore(topic, committed)
      const now = topic.partitions.length
      if (before !== undefined && before !== now && now !== cluster.options.partitions)
        problems.set(topic.name, partitionsChanged(group, topic.name, before, now))
    }
    const usable = places.filter(({ topic }) => topics.has(topic) && !problems.has(topic))
    const isOther = ({ topic }: Place, note: Committed['note']) => {
      const id = topics.get(topic)?.id
      return note.topicId !== undefined && id !== undefined && note.topicId !== id
    }
    const fresh = usable.filter((place) => {
      const known = committed.get(placeKey(place))
      return known === undefined || isOther(place, known.note)
    })
    const fromStart = fresh.filter(
      (place) => start === 'earliest' || committed.has(placeKey(place)) || madeAnew.has(place.topic),
    )
    const fromEnd = fresh.filter((place) => !fromStart.includes(place))
    const begins = new Map([
      ...(await offsetsOf(cluster, fromStart, earliest)),
      ...(await offsetsOf(cluster, fromEnd, latest)),
    ])
    const starts = usable.map((place): LaneStart => {
      const known = committed.get(placeKey(place))
      const topic = topics.get(place.topic)
      const begin = begins.get(placeKey(place))
      return {
        place,
        topicId: topic?.id,
        partitions: topic?.partitions.length ?? 0,
        from: begin ?? known?.offset ?? 0n,
        logs: known?.note.logs ?? new Map(),
        suspicion: known === undefined || begin !== undefined ? noSuspicion : suspicionOf(known),
        isNew: begin !== undefined,
      }
    })
    const anew = fresh.filter((place) => committed.has(placeKey(place))).map(({ topic }) => topic)
    return {
      starts,
      problems: [...problems.values(), ...[...new Set(anew)].map((topic) => topicMadeAnew(group, topic))],
    }
  })
}

/** Whoever gives a lane back writes down that nothing of it is in hand: what is, belongs to somebody who died. */
const suspicionOf = ({ offset, note: { started, suspicion } }: Committed) => afterDeath(suspicion, offset, started)

async function offsetsOf(
  cluster: Cluster,
  places: readonly Place[],
  time: number,
): Promise<ReadonlyMap<string, bigint>> {
  return places.length === 0 ? new Map() : listOffsets(cluster, places, time)
}

function countBefore(
  { name, partitions, id }: TopicInfo,
  committed: ReadonlyMap<string, Committed>,
): number | undefined {
  for (const { partition } of partitions) {
    const note = committed.get(placeKey({ topic: name, partition }))?.note
    if (note?.partitions !== undefined && (note.topicId === undefined || id === undefined || note.topicId === id))
      return note.partitions
  }
  return undefined
}

export function partitionsChanged(group: string, topic: string, before: number, now: number): EvtError {
  return new EvtError(
    'conflict',
    `cannot read ${topic} for group ${group}: it has ${now} partitions, and had ${before}`,
    {
      hint: `keys moved to other partitions, so that a subject's later events may overtake its earlier ones. When nothing old is left in it, open it with ?partitions=${now}`,
    },
  )
}

export function topicGone(topic: string): EvtError {
  return new EvtError('refused', `cannot read ${topic}: the topic was deleted`, {
    hint: 'evt goes on when it is there again',
  })
}

function topicMadeAnew(group: string, topic: string): EvtError {
  return new EvtError(
    'conflict',
    `topic ${topic} was deleted and made anew: group ${group} reads it from its beginning`,
  )
}

export async function outOfRange(cluster: Cluster, group: string, place: Place, offset: bigint): Promise<EvtError> {
  const { topic, partition } = place
  const at = async (time: number) =>
    (await listOffsets(cluster, [place], time).catch(() => undefined))?.get(placeKey(place))
  const [first, end] = [await at(earliest), await at(latest)]
  const reason =
    first !== undefined && offset < first
      ? `${first - offset} messages were deleted before it read them`
      : 'that is behind its end: the broker lost messages, or the offset was set by hand'
  return new EvtError(
    'conflict',
    `cannot go on reading ${topic}/${partition} for group ${group}: it stands at ${offset}, and the topic has ${first ?? '?'} to ${end ?? '?'}; ${reason}`,
    {
      hint: `stop evt, decide where it goes on, and start it: kafka-consumer-groups --group ${group} --topic ${topic}:${partition} --reset-offsets --to-earliest --execute`,
    },
  )
}
