import { EvtError } from '../../core/errors.ts'
import { createHandover } from '../handover.ts'
import type { Lane, LaneOptions } from '../transport.ts'
import { createWanted } from '../wanted.ts'
import { type Cluster, persist } from './cluster.ts'
import { translate, unknownTopic } from './errors.ts'
import { createFetcher } from './fetcher.ts'
import type { KafkaLane } from './lane.ts'
import { joinGroup, type Member } from './member.ts'
import type { TopicInfo } from './metadata.ts'
import { fetchCommitted } from './offsets.ts'
import { visibleTopics } from './topics.ts'

export interface Groups {
  lanes(topics: readonly string[], group: string, options: LaneOptions): AsyncGenerator<Lane>
  /** Every member leaves. */
  close(): Promise<void>
}

export function createGroups(cluster: Cluster, onProblem: ((error: Error) => void) | undefined): Groups {
  const members = new Set<Member>()
  const leaving = new AbortController()

  async function* lanes(topics: readonly string[], group: string, options: LaneOptions): AsyncGenerator<Lane> {
    const signal = AbortSignal.any([options.signal, leaving.signal])
    await assertTopics(cluster, topics, group, signal)
    if (signal.aborted) return
    const found = createHandover<KafkaLane>()
    const fetching = new AbortController()
    const open = new Set<KafkaLane>()
    const member = joinGroup({
      cluster,
      group,
      topics,
      options,
      wanted: createWanted(options.patterns),
      fetcher: createFetcher(cluster, fetching.signal),
      onProblem: tellOnce(leaving.signal, onProblem),
      offer(lane) {
        open.add(lane)
        const onLost = () => {
          open.delete(lane)
          if (ended && open.size === 0) fetching.abort()
        }
        lane.lost.addEventListener('abort', onLost, { once: true })
        found.offer(lane)
      },
    })
    members.add(member)
    let ended = false
    // At once: what is released while the iteration winds up must not come back to this member.
    signal.addEventListener('abort', member.stopClaiming, { once: true })
    try {
      yield* found.iterate(signal)
    } finally {
      ended = true
      member.stopClaiming()
      await Promise.all(found.left().map((lane) => lane.release()))
      if (open.size === 0) fetching.abort()
    }
  }

  return {
    lanes,
    async close() {
      leaving.abort()
      await Promise.all([...members].map((member) => member.close()))
    },
  }
}

const maxRemembered = 100

function tellOnce(signal: AbortSignal, onProblem: ((error: Error) => void) | undefined): (error: EvtError) => void {
  const told = new Set<string>()
  return (error) => {
    if (signal.aborted || told.has(error.message)) return
    if (told.size >= maxRemembered) told.clear()
    told.add(error.message)
    onProblem?.(error)
  }
}

async function assertTopics(
  cluster: Cluster,
  topics: readonly string[],
  group: string,
  signal: AbortSignal,
): Promise<void> {
  const action = `read for group ${group}`
  if (topics.length === 0)
    throw new EvtError('usage', `cannot ${action}: no topic is named`, { hint: 'kafka://host:9092/topic' })
  const found = await persist(AbortSignal.any([signal, cluster.closing]), () => cluster.refresh(topics)).catch(
    (error: unknown) => {
      throw translate(error, action)
    },
  )
  const missing = topics.find((topic) => !found.has(topic))
  if (missing === undefined) return assertGroup(cluster, group, [...found.values()], signal)
  throw unknownTopic(missing, await visibleTopics(cluster), action)
}

/** Asks for its positions: who may not do that may not join either, and is told here. */
async function assertGroup(
  cluster: Cluster,
  group: string,
  topics: readonly TopicInfo[],
  signal: AbortSignal,
): Promise<void> {
  const places = topics.map(({ name }) => ({ topic: name, partition: 0 }))
  const asked = persist(AbortSignal.any([signal, cluster.closing]), () => fetchCommitted(cluster, group, places))
  await asked.catch((error: unknown) => {
    if (!signal.aborted) throw translate(error, `read for group ${group}`)
  })
}
