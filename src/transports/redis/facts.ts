import type { RedisContext } from './context.ts'
import { firstId } from './entry-id.ts'
import { explainWrongType, isReply } from './errors.ts'
import { findStreams } from './find-streams.ts'
import { groupsKey, membersKey } from './topic.ts'

/** What the server says of one stream. */
export interface StreamFacts {
  readonly topic: string
  readonly stream: string
  readonly exists: boolean
  readonly length: number
  readonly lastId: string
  readonly added: number
  /** Where our groups stand: the settled place first after the epoch (lane-scripts.ts). */
  readonly ours: Readonly<Record<string, string>>
  readonly plain: readonly PlainGroup[]
}

export interface PlainGroup {
  readonly name: string
  readonly consumers: number
  readonly pending: number
  readonly lastDelivered: string
  readonly entriesRead: string
}

/** Of every stream of these topics and globs. What this user may not ask is as if it were not there. */
export async function factsOf(context: RedisContext, names: readonly string[]): Promise<readonly StreamFacts[]> {
  const found = await findStreams(context, names, new Set(), context.closing)
  return Promise.all(found.map(({ topic, stream }) => factsOfStream(context, topic, stream)))
}

async function factsOfStream(context: RedisContext, topic: string, stream: string): Promise<StreamFacts> {
  const { client } = context.connections
  const ask = <T>(asked: Promise<T>, none: T) =>
    asked.catch(async (error: unknown) => {
      if (isReply(error, 'NOPERM') || /no such key/.test(String(error))) return none
      throw await explainWrongType(error, context.options.place, stream, (key) => client.type(key))
    })
  const [info, groups, ours] = await Promise.all([
    ask(client.xinfo('STREAM', stream) as Promise<unknown[]>, []),
    ask(client.xinfo('GROUPS', stream) as Promise<unknown[][]>, []),
    ask(client.hgetall(groupsKey(stream)), {}),
  ])
  const facts = pairsOf(info)
  return {
    topic,
    stream,
    exists: info.length > 0,
    length: Number(facts.get('length') ?? 0),
    lastId: String(facts.get('last-generated-id') ?? firstId),
    added: Number(facts.get('entries-added') ?? 0),
    ours,
    plain: groups.map(readGroup).toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  }
}

function readGroup(flat: unknown[]): PlainGroup {
  const facts = pairsOf(flat)
  return {
    name: String(facts.get('name')),
    consumers: Number(facts.get('consumers')),
    pending: Number(facts.get('pending')),
    lastDelivered: String(facts.get('last-delivered-id')),
    entriesRead: String(facts.get('entries-read')),
  }
}

/** How many members of evt's a group has. */
export async function countMembers({ connections }: RedisContext, topic: string, group: string): Promise<number> {
  const fields = await connections.client.hgetall(membersKey(topic, group)).catch((): Record<string, string> => ({}))
  return Object.entries(fields).filter(([field, value]) => field.startsWith('m:') && value.split(' ')[1] === '1').length
}

function pairsOf(flat: readonly unknown[]): ReadonlyMap<string, unknown> {
  const pairs = new Map<string, unknown>()
  for (let at = 0; at + 1 < flat.length; at += 2) pairs.set(String(flat[at]), flat[at + 1])
  return pairs
}
