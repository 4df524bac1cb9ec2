// How a topic lies in Redis. One stream a lane: a topic with one lane is the stream `<topic>`, one with n lanes the streams
// `<topic>:0` … `<topic>:<n - 1>`. All else that evt keeps has the hash tag of the stream or topic it belongs to, so that a script
// finds it in its own slot: `{events:user.created}:evt:…`.
//
//   {topic}:evt:topic            hash: lanes (their number), made (ms since the epoch). It makes the topic ours; fixed for good
//   {topic}:evt:members:<group>  hash: who is in the group, and who owns which lane (membership-scripts.ts)
//   {stream}:evt:lane            hash: what the writers of this lane know: epoch, mark, last, ids… (write-scripts.ts)
//   {stream}:evt:groups          hash: group → `<epoch> <settled> <started> <suspect> <guilty> <deaths>` (lane-scripts.ts)
//   {stream}:evt:ids:a, …:b      sets: message ids of the current and the previous duplicate window
//   {stream}:evt:runs:a, …:b     sorted sets: the same of batches whose ids grew, a member a batch (id-range.ts)
//   {stream}:evt:bell            channel: rung when something was appended
import { EvtError } from '../../core/errors.ts'
import { slotOf } from '../../core/slot.ts'
import type { Difference, Message, TopicSpec } from '../transport.ts'
import type { RedisConnections } from './connect.ts'
import { type RedisPlace, translateError } from './errors.ts'

/** A topic as it is in the server. */
export interface Topic {
  readonly name: string
  /** Made by `ensure`: our wire, our bookkeeping, our groups. Otherwise it is one stream of somebody else's (or nothing yet). */
  readonly ours: boolean
  /** The streams, by lane. */
  readonly streams: readonly string[]
}

/** Topics as this process knows them. A lane count never changes, so that what is known of ours stays true. */
export interface Topics {
  /** Asks the server for what is not known; what is not ours is asked again each time. */
  find(name: string): Promise<Topic>
  /** Makes again what the server forgot (FLUSHALL) of a topic that is known to be ours. */
  restore(topic: Topic): Promise<void>
  /** It was removed. */
  forget(name: string): void
  ensure(specs: readonly TopicSpec[], mode: 'check' | 'create'): Promise<readonly Difference[]>
}

/**
 * The key of what belongs to `key`, in the same slot. Redis hashes what is between the first `{` and the `}` after it, when that
 * is not empty; else the whole key.
 */
export function besideKey(key: string, what: string): string {
  const tag = hashTagOf(key)
  return tag === undefined ? `{${key}}:evt:${what}` : `{${tag}}:evt:${what}:${key}`
}

export const topicKey = (topic: string) => besideKey(topic, 'topic')
export const membersKey = (topic: string, group: string) => besideKey(topic, `members:${group}`)
export const laneKey = (stream: string) => besideKey(stream, 'lane')
export const groupsKey = (stream: string) => besideKey(stream, 'groups')
export const idKeys = (stream: string) => ['ids:a', 'ids:b', 'runs:a', 'runs:b'].map((what) => besideKey(stream, what))
export const bellOf = (stream: string) => besideKey(stream, 'bell')

export function streamsOf(topic: string, lanes: number): readonly string[] {
  return lanes === 1 ? [topic] : Array.from({ length: lanes }, (_, lane) => `${topic}:${lane}`)
}

let turn = 0

/** Which lane a message belongs to: by its key; without one there is no order to keep, and messages take turns. */
export function laneOf({ key, log }: Pick<Message, 'key' | 'log'>, lanes: number): number {
  if (lanes === 1) return 0
  if (key !== null) return knownSlotOf(key) % lanes
  // An entry of the log always has the same lane, or it could not be recognised there.
  if (log !== undefined) return Number(log % BigInt(lanes))
  turn = (turn + 1) % 1_000_000
  return turn % lanes
}

const [mostSlots, longestKey] = [10_000, 200]
const slots = new Map<string, number>()

/** Hashing a key costs a tenth of what writing its message costs here. */
function knownSlotOf(key: string): number {
  const known = slots.get(key)
  if (known !== undefined) return known
  const slot = slotOf(key)
  if (key.length > longestKey) return slot
  if (slots.size >= mostSlots) slots.clear()
  slots.set(key, slot)
  return slot
}

export function createTopics({ client, isCluster }: RedisConnections, place: RedisPlace): Topics {
  const known = new Map<string, Topic>()

  function remember(name: string, lanes: number): Topic {
    const topic = { name, ours: true, streams: streamsOf(name, lanes) }
    known.set(name, topic)
    return topic
  }

  async function lanesOf(name: string): Promise<number> {
    try {
      return Number((await client.hget(topicKey(name), 'lanes')) ?? 0)
    } catch (error) {
      throw translateError(error, place, `use ${name}`)
    }
  }

  const make = (name: string, lanes: number) =>
    client
      .multi()
      .hsetnx(topicKey(name), 'lanes', lanes)
      .hsetnx(topicKey(name), 'made', Date.now())
      .exec()
      .catch((error: unknown) => {
        throw translateError(error, place, `make ${name}`)
      })

  async function ensureOne({ name, lanes }: TopicSpec, mode: 'check' | 'create'): Promise<readonly Difference[]> {
    if (isCluster && !hasOneSlot(name)) {
      const hint = 'use a name without braces, or with one pair around a part of it'
      throw new EvtError('usage', `cannot use ${name}: in a cluster no key can be kept beside it`, { hint })
    }
    const before = await lanesOf(name)
    if (before === 0 && mode === 'check') {
      return [{ topic: name, problem: 'missing', remedy: 'it is made by evt with its first use' }]
    }
    const odd = before === 0 ? await strangers(name, lanes) : []
    if (odd.length > 0) return odd
    if (before === 0) await make(name, lanes)
    const found = before === 0 ? await lanesOf(name) : before
    remember(name, found)
    if (found === lanes) return []
    const remedy = `ask for ${found}, or use another name: messages of one key would change lanes`
    return [{ topic: name, problem: `it has ${found} lanes, not ${lanes}`, remedy }]
  }

  /** Keys under our names that are no streams. */
  async function strangers(name: string, lanes: number): Promise<readonly Difference[]> {
    const streams = streamsOf(name, lanes)
    const types = await Promise.all(streams.map((stream) => client.type(stream))).catch((error: unknown) => {
      throw translateError(error, place, `use ${name}`)
    })
    return streams.flatMap((stream, i): readonly Difference[] => {
      if (types[i] === 'none' || types[i] === 'stream') return []
      const remedy = `use another name, or rename that key: RENAME ${stream} ${stream}:old`
      return [{ topic: name, problem: `the key ${stream} is a ${types[i]}, not a stream`, remedy }]
    })
  }

  return {
    async find(name) {
      const found = known.get(name)
      if (found !== undefined) return found
      const lanes = await lanesOf(name)
      return lanes > 0 ? remember(name, lanes) : { name, ours: false, streams: [name] }
    },
    async restore({ name, ours, streams }) {
      if (ours) await make(name, streams.length)
    },
    forget: (name) => void known.delete(name),
    async ensure(specs, mode) {
      return (await Promise.all(specs.map((spec) => ensureOne(spec, mode)))).flat()
    },
  }
}

function hashTagOf(key: string): string | undefined {
  const open = key.indexOf('{')
  const close = open < 0 ? -1 : key.indexOf('}', open + 1)
  return close > open + 1 ? key.slice(open + 1, close) : undefined
}

/** Without a tag of its own, a key with `}` in it cannot be the tag of another. */
function hasOneSlot(key: string): boolean {
  return hashTagOf(key) !== undefined || !key.includes('}')
}
