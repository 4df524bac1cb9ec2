import { EvtError } from '../../core/errors.ts'
import { createDoorbell } from '../doorbell.ts'
import type { ObserveOptions, Received, Selector } from '../transport.ts'
import { createWanted } from '../wanted.ts'
import { type Cluster, pause, persist } from './cluster.ts'
import { isOutage, translate, typeOf, unknownTopic } from './errors.ts'
import { createFetcher, type Reading } from './fetcher.ts'
import { createHistory, type Part } from './history.ts'
import { createIntake, type Intake } from './intake.ts'
import type { TopicInfo } from './metadata.ts'
import { earliest, latest, listOffsets, placeKey } from './offsets.ts'
import { visibleTopics } from './topics.ts'
import { type Place, readMessage, typeOfMessage } from './wire.ts'

const maxBatch = 500
/** How often it looks for topics that appeared since, when a name is a glob, and for partitions that were added. */
const lookAgainMs = 5_000
const outageMs = 15_000
/** How long a partition that does not answer holds up the past of the others, for who follows. */
const patienceMs = 2_000

export interface KafkaObserveOptions extends ObserveOptions {
  readonly onProblem: (error: EvtError) => void
}

interface Watched {
  readonly reading: Reading
  readonly intake: Intake<Received>
  /** Where its past ends, and what is shown when not following. */
  readonly end: bigint
  readonly past: Part<Received>
  /** What it has comes as it comes, whatever the others have. */
  isLetGo: boolean
  /** What the broker answered, if that ends it. */
  error?: EvtError
  outageSince?: number | undefined
}

/**
 * Fetches partitions as a consumer without a group does: no member, no commit, no lock. What was there at the start comes in the order
 * of time over all partitions, and then what comes.
 */
export async function* observeKafka(
  cluster: Cluster,
  { topics, patterns }: Selector,
  options: KafkaObserveOptions,
): AsyncGenerator<readonly Received[]> {
  const { from, follow, onProblem } = options
  const stop = new AbortController()
  const signal = AbortSignal.any([options.signal, cluster.closing, stop.signal])
  const wanted = createWanted(patterns)
  const fetcher = createFetcher(cluster, signal)
  const bell = createDoorbell()
  const watched = new Map<string, Watched>()
  const history = createHistory<Received>(({ timeMs = 0 }) => timeMs)
  let isPast = true

  async function watch(infos: readonly TopicInfo[], start: ObserveOptions['from']): Promise<void> {
    const places = infos.flatMap((info) =>
      info.partitions.map(({ partition }) => ({ topic: info.name, topicId: info.id, partition })),
    )
    const added = places.filter((place) => !watched.has(placeKey(place)))
    if (added.length === 0) return
    const [starts, ends] = await persist(
      signal,
      async () => [await startsOf(cluster, added, start), await listOffsets(cluster, added, latest)] as const,
    )
    for (const place of added) {
      const key = placeKey(place)
      const [first, end] = [starts.get(key) ?? 0n, ends.get(key) ?? 0n]
      watched.set(key, begin(place, first, end))
    }
  }

  function begin(place: Place & { readonly topicId: string | undefined }, first: bigint, end: bigint): Watched {
    const onSkipped = (count: number, at: bigint, reason: Error) =>
      onProblem(
        new EvtError(
          'decode',
          `cannot read ${count} messages of ${place.topic} from ${place.partition}:${at} on: ${reason.message}; they are skipped`,
          { cause: reason },
        ),
      )
    const intake = createIntake({ from: first, read: (record) => readMessage(place, record), onSkipped })
    const reading: Reading = {
      ...place,
      get offset() {
        return intake.fetchFrom
      },
      get isHungry() {
        return !intake.isFull && (intake.fetchFrom < end || (follow && (!isPast || one.isLetGo)))
      },
      onFetched(fetched) {
        one.outageSince = undefined
        intake.add(fetched)
        bell.ring()
      },
      onError(error) {
        void onError(one, error)
      },
    }
    const past: Part<Received> = {
      get isAtEnd() {
        return intake.reached >= end
      },
      next: () => nextOf(one),
    }
    const one: Watched = { reading, intake, end, past, isLetGo: false }
    if (isPast) history.add(past)
    fetcher.add(reading)
    return one
  }

  async function onError(one: Watched, error: Error): Promise<void> {
    const { topic, topicId, partition } = one.reading
    const type = typeOf(error)
    // Who follows waits for the server, who only looks does not.
    if (!follow && isOutage(error)) {
      one.outageSince ??= performance.now()
      if (performance.now() - one.outageSince > outageMs) fail(one, translate(error, `observe ${topic}`))
    }
    if (type === 'TOPIC_AUTHORIZATION_FAILED') fail(one, translate(error, `observe ${topic}`))
    if (type !== 'OFFSET_OUT_OF_RANGE' && type !== 'UNKNOWN_TOPIC_ID' && type !== 'UNKNOWN_TOPIC_OR_PARTITION') return
    const info = (await cluster.refresh([topic]).catch(() => undefined))?.get(topic)
    const isOther = info?.id !== topicId
    if (
      (type === 'OFFSET_OUT_OF_RANGE' || (info !== undefined && isOther)) &&
      watched.get(placeKey(one.reading)) === one
    ) {
      // Retention overtook it, or the topic was made anew: it goes on with what there is, and says so.
      fetcher.remove(one.reading)
      history.remove(one.past)
      watched.delete(placeKey(one.reading))
      onProblem(
        new EvtError(
          'conflict',
          `${topic}/${partition} no longer has ${one.intake.fetchFrom}: goes on at the oldest message that is there`,
        ),
      )
      if (info !== undefined) await watch([info], 'start').catch(() => {})
    } else if (info === undefined && !follow)
      fail(one, unknownTopic(topic, await visibleTopics(cluster), `observe ${topic}`))
  }

  function fail(one: Watched, error: EvtError): void {
    one.error = error
    bell.ring()
  }

  async function lookAgain(): Promise<void> {
    while (!signal.aborted) {
      await pause(lookAgainMs, signal)
      if (signal.aborted) return
      await topicsOf(cluster, topics, true)
        .then((infos) => watch(infos, 'start'))
        .catch(() => {})
    }
  }

  /** The next that is wanted, if there is one at hand before its past ends. */
  function nextOf({ intake, end, isLetGo }: Watched): Received | undefined {
    while (!isPast || isLetGo || intake.reached < end) {
      const message = intake.next()
      if (message === undefined || wanted(typeOfMessage(message))) return message
    }
    return undefined
  }

  function collect(): readonly Received[] {
    for (const { error } of watched.values()) if (error !== undefined) throw error
    const full = [...watched.values()].filter(({ intake }) => intake.isFull)
    const batch = [...history.take(maxBatch)]
    const isOver = isPast && history.isOver
    if (isOver) isPast = false
    if (follow) for (const one of watched.values()) if (!isPast || one.isLetGo) collectLive(one, batch)
    if (isOver || full.some(({ intake }) => !intake.isFull)) fetcher.wake()
    return batch
  }

  function collectLive(one: Watched, batch: Received[]): void {
    while (batch.length < maxBatch) {
      const message = nextOf(one)
      if (message === undefined) return
      batch.push(message)
    }
  }

  /** Who follows does not wait for the past of a partition whose broker is away. */
  async function waitForPast(sinceMs: number): Promise<void> {
    if (!follow) return bell.wait(signal)
    const leftMs = sinceMs + patienceMs - performance.now()
    if (leftMs > 0) return bell.wait(signal, AbortSignal.timeout(Math.ceil(leftMs)))
    const late = new Set(history.letGo())
    for (const one of watched.values()) one.isLetGo ||= late.has(one.past)
    fetcher.wake()
  }

  try {
    await watch(await topicsOf(cluster, topics, follow), from)
    if (follow) void lookAgain()
    let turn = 0
    let waitsSinceMs: number | undefined
    while (!signal.aborted) {
      const batch = collect()
      if (batch.length > 0) {
        waitsSinceMs = undefined
        yield batch
        // The busiest partition must not be the only one that is seen.
        if (++turn % 16 === 0) rotate(watched)
      } else if (isPast) {
        waitsSinceMs ??= performance.now()
        await waitForPast(waitsSinceMs)
      } else if (!follow) return
      else await bell.wait(signal)
    }
  } catch (error) {
    if (!signal.aborted) throw translate(error, `observe ${topics.join(', ')}`)
  } finally {
    stop.abort()
  }
}

function rotate<K, V>(map: Map<K, V>): void {
  const [first] = map
  if (first === undefined) return
  map.delete(first[0])
  map.set(first[0], first[1])
}

/** Names, or globs: `*` stands for anything. A glob may match nothing yet when following. */
async function topicsOf(cluster: Cluster, names: readonly string[], follow: boolean): Promise<readonly TopicInfo[]> {
  if (names.length === 0)
    throw new EvtError('usage', 'cannot observe Kafka: no topic is named', { hint: 'kafka://host:9092/topic' })
  const globs = names.filter((name) => name.includes('*'))
  const found = await persist(cluster.closing, () => cluster.refresh(globs.length > 0 ? 'all' : names))
  const missing = names.find((name) => !name.includes('*') && !found.has(name))
  if (missing !== undefined) throw unknownTopic(missing, await visibleTopics(cluster), `observe ${missing}`)
  const patterns = globs.map(
    (glob) =>
      new RegExp(
        `^${glob
          .split('*')
          .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
          .join('.*')}$`,
      ),
  )
  const infos = [...found.values()].filter(
    ({ name, isInternal }) => names.includes(name) || (!isInternal && patterns.some((pattern) => pattern.test(name))),
  )
  if (infos.length === 0 && !follow)
    throw unknownTopic(globs.join(', '), await visibleTopics(cluster), `observe ${globs.join(', ')}`)
  return infos
}

async function startsOf(
  cluster: Cluster,
  places: readonly Place[],
  from: ObserveOptions['from'],
): Promise<ReadonlyMap<string, bigint>> {
  if (from === 'now') return listOffsets(cluster, places, latest)
  if (from === 'start') return listOffsets(cluster, places, earliest)
  if ('timeMs' in from) return listOffsets(cluster, places, Math.max(0, Math.ceil(from.timeMs)))
  const positions = parsePosition(from.position)
  const ends = await listOffsets(cluster, places, latest)
  return new Map(
    places.map((place) => [placeKey(place), positions.get(place.partition) ?? ends.get(placeKey(place)) ?? 0n]),
  )
}

/** `partition:offset`, several with commas; partitions that are not named start now. Throws `usage`. */
function parsePosition(text: string): ReadonlyMap<number, bigint> {
  return new Map(
    text.split(',').map((one) => {
      const [, partition, offset] = /^(\d{1,9}):(\d{1,19})$/.exec(one.trim()) ?? []
      if (partition === undefined || offset === undefined) {
        throw new EvtError('usage', `cannot observe from ${text}: that is no position of Kafka`, {
          hint: 'partition:offset, as 0:1500 or 0:1500,1:1432',
        })
      }
      return [Number(partition), BigInt(offset)] as const
    }),
  )
}
