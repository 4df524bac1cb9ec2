import { EvtError } from '../../core/errors.ts'
import type { Burial, BuriedMessage, DeadLetterTopics, Headers, Published } from '../transport.ts'
import { type Cluster, persist } from './cluster.ts'
import { translate, typeOf, unknownTopic } from './errors.ts'
import { createIntake } from './intake.ts'
import type { TopicInfo } from './metadata.ts'
import type { Outgoing } from './outgoing.ts'
import { fetchOne, readAll } from './read-all.ts'
import type { RawHeader } from './records.ts'
import { burialHeaders, type DeadRecord, readDead } from './spring.ts'
import { createTopics, visibleTopics } from './topics.ts'
import { idName, logIdName, logName, partitionAt } from './wire.ts'

export interface DeadLettersInit {
  readonly cluster: Cluster
  publish(topic: string, batch: readonly Outgoing[], signal: AbortSignal): Promise<readonly Published[]>
}

/**
 * Kafka deletes no single record, so what was replayed is remembered beside the dead letters, in a compacted topic `<dead-letter topic>.replayed`
 * with one record a replayed one (key `<topic id>/<partition>:<offset>`). In the dead-letter topic itself its other readers would take such
 * records for dead letters; a commit's metadata is too small; and with the topic's id in the key, a topic that is made anew starts clean.
 */
export function createDeadLetters({ cluster, publish }: DeadLettersInit): DeadLetterTopics {
  const markOf = ({ id, name }: TopicInfo, at: string) => `${id ?? name}/${at}`

  async function topicNamed(name: string, action: string): Promise<TopicInfo> {
    const found = await persist(cluster.closing, () => cluster.refresh([name])).catch((error: unknown) => {
      throw translate(error, action)
    })
    const topic = found.get(name)
    if (topic === undefined) throw unknownTopic(name, await visibleTopics(cluster), action)
    return topic
  }

  async function replayedOf(name: string, signal: AbortSignal): Promise<ReadonlySet<string>> {
    const marks = (await cluster.refresh([nameOfMarks(name)])).get(nameOfMarks(name))
    const keys = new Set<string>()
    if (marks === undefined) return keys
    const read = (_: unknown, { content }: { content: { varint(): number; slice(length: number): Buffer } }) =>
      content.slice(Math.max(0, content.varint())).toString()
    for await (const batch of readAll(cluster, marks, { read, timeOf: () => 0, signal }))
      for (const key of batch) keys.add(key)
    return keys
  }

  /** Of a topic that is there nothing died yet. */
  async function isEmptyGrave(name: string): Promise<boolean> {
    const origin = name.replace(/(?:-dlt|\.DLT)$/, '')
    const found = await persist(cluster.closing, () => cluster.refresh([name, origin]))
    return !found.has(name) && found.has(origin)
  }

  async function* list(name: string, signal: AbortSignal): AsyncGenerator<readonly BuriedMessage[]> {
    const action = `list ${name}`
    if (await isEmptyGrave(name)) return
    const topic = await topicNamed(name, action)
    try {
      const replayed = await replayedOf(name, signal)
      const options = { read: readDead, timeOf: ({ buried }: DeadRecord) => buried.deadMs ?? 0, signal }
      for await (const batch of readAll(cluster, topic, options)) {
        const lying = batch.map(({ buried }) => buried).filter(({ id }) => !replayed.has(markOf(topic, id)))
        if (lying.length > 0) yield lying
      }
    } catch (error) {
      throw translate(error, action)
    }
  }

  async function bury(topic: string, burials: readonly Burial[], signal: AbortSignal): Promise<readonly Published[]> {
    if (burials.length === 0) return []
    const name = nameOfGrave(topic)
    const grave = (await cluster.topic(name)) ?? (await makeGrave(topic, name))
    const count = grave.partitions.length
    return publish(
      name,
      burials.map((burial) => ({
        message: burial.message,
        partition: partitionAt(burial.message.at) % count,
        headers: burialHeaders(burial),
      })),
      signal,
    )
  }

  async function makeGrave(topic: string, name: string): Promise<TopicInfo> {
    const lanes = (await topicNamed(topic, `bury messages of ${topic}`)).partitions.length
    await createTopics(cluster, [{ name, lanes }], { 'retention.ms': '-1' })
    return topicNamed(name, `bury messages of ${topic}`)
  }

  async function find(topic: TopicInfo, id: string): Promise<DeadRecord | undefined> {
    const [, partition = '', offset = ''] = /^(\d{1,9}):(\d{1,19})$/.exec(id) ?? []
    const place = { topic: topic.name, partition: Number(partition) }
    if (partition === '' || place.partition >= topic.partitions.length) return undefined
    const from = BigInt(offset)
    try {
      const fetched = await persist(cluster.closing, () => fetchOne(cluster, topic, place, from))
      const intake = createIntake({ from, read: (record) => readDead(place, record), onSkipped() {} })
      intake.add(fetched)
      const dead = intake.next()
      return dead?.buried.id === id ? dead : undefined
    } catch (error) {
      if (typeOf(error) === 'OFFSET_OUT_OF_RANGE') return undefined
      throw error
    }
  }

  async function replayOne(topic: TopicInfo, id: string, { to, headers, signal }: ReplayOptions): Promise<Published> {
    const dead = await find(topic, id)
    if (dead === undefined) return refused(topic.name, id, 'it does not lie there')
    const target = to ?? dead.buried.origin.topic
    if (target === undefined)
      return refused(topic.name, id, 'its headers do not say where it came from', 'name the topic: --to TOPIC')
    const [result] = await publish(target, [{ message: { ...dead.raw, headers: headersOf(dead, headers) } }], signal)
    if (result?.state !== 'stored') return result ?? refused(topic.name, id, 'nothing was published')
    const mark = {
      key: Buffer.from(markOf(topic, id)),
      value: Buffer.from(JSON.stringify({ to: target, at: result.at })),
      headers: [],
    }
    const [noted] = await publish(nameOfMarks(topic.name), [{ message: mark }], signal)
    if (noted?.state === 'stored') return result
    const cause = noted?.state === 'refused' || noted?.state === 'unknown' ? noted.error : undefined
    return {
      state: 'unknown',
      error: new EvtError(
        'partial',
        `cannot note that ${id} of ${topic.name} was replayed: it was published to ${target}, and still lies among the dead letters`,
        { hint: 'its id stays the same: a second replay does no harm', cause },
      ),
    }
  }

  async function replay(name: string, ids: readonly string[], options: ReplayOptions): Promise<readonly Published[]> {
    const action = `replay from ${name}`
    const topic = await topicNamed(name, action)
    const interrupted: Published = { state: 'unknown', error: new EvtError('interrupted', `cannot ${action}: aborted`) }
    try {
      if (ids.length > 0 && (await cluster.topic(nameOfMarks(name))) === undefined) {
        await createTopics(cluster, [{ name: nameOfMarks(name), lanes: 1 }], { 'cleanup.policy': 'compact' })
      }
      const replayed = new Set(await replayedOf(name, options.signal))
      const results: Published[] = []
      for (const id of ids) {
        const mark = markOf(topic, id)
        if (options.signal.aborted) results.push(interrupted)
        else if (replayed.has(mark)) results.push(refused(name, id, 'it was replayed already'))
        else {
          const result = await replayOne(topic, id, options)
          if (result.state === 'stored') replayed.add(mark)
          results.push(result)
        }
      }
      return results
    } catch (error) {
      throw translate(error, action)
    }
  }

  return { nameOf: nameOfGrave, bury, list, replay }
}

interface ReplayOptions {
  readonly to?: string
  readonly headers?: Headers
  readonly signal: AbortSignal
}

/** As Spring names it. */
export const nameOfGrave = (topic: string) => `${topic}-dlt`

export const nameOfMarks = (grave: string) => `${grave}.replayed`

/** Without its log position: consumers would take it for one that they have had. With the id that it had by its place, if it had no other. */
function headersOf({ buried, raw }: DeadRecord, added: Headers = {}): readonly RawHeader[] {
  const more = Object.entries(added).map(([name, value]) => ({
    name: name.startsWith('ce-') ? `ce_${name.slice(3)}` : name,
    value: Buffer.from(value),
  }))
  const names = new Set([logName, logIdName, ...more.map(({ name }) => name)])
  const kept = raw.headers.filter(({ name }) => !names.has(name))
  const hasId = kept.some(({ name }) => name === idName || name === 'ce_id')
  return [...kept, ...(hasId ? [] : [{ name: idName, value: Buffer.from(buried.message.id) }]), ...more]
}

function refused(topic: string, id: string, reason: string, hint?: string): Published {
  return {
    state: 'refused',
    error: new EvtError('refused', `cannot replay ${id} of ${topic}: ${reason}`, hint === undefined ? {} : { hint }),
  }
}
