import type { GroupState, Inspection } from '../transport.ts'
import type { RedisContext } from './context.ts'
import { countAfter } from './count-entries.ts'
import { compareIds, firstId, timeOfId } from './entry-id.ts'
import { countMembers, factsOf, type StreamFacts } from './facts.ts'
import { findTopic } from './find-streams.ts'

/** A plain consumer that did nothing for so long does not count as a member. */
const memberMs = 60_000

/** Where one group stands in one stream. */
interface Standing {
  readonly group: string
  readonly lag: number
  readonly oldestMs?: number | undefined
  readonly members: number
}

/**
 * Topics as they are, and where their groups stand: ours by our own bookkeeping, plain ones by what they were given and did not acknowledge.
 * Messages are counted, not taken from XINFO, whose lag lies after a trim.
 */
export async function inspectRedis(context: RedisContext, names: readonly string[]): Promise<Inspection> {
  const facts = await factsOf(context, names.length > 0 ? names : context.options.streams)
  const byTopic = [...Map.groupBy(facts, ({ topic }) => topic)]
  const nowMs = await serverTime(context)
  const known = await Promise.all(
    byTopic.map(async ([topic, streams]) => ({ topic, streams, isOurs: (await findTopic(context, topic)).ours })),
  )
  const there = known.filter(({ streams, isOurs }) => isOurs || streams.some(({ exists }) => exists))
  const groups = await Promise.all(there.map(({ topic, streams }) => groupsOf(context, topic, streams, nowMs)))
  return { topics: there.map(({ topic, streams }) => topicOf(topic, streams)), groups: groups.flat() }
}

function topicOf(topic: string, streams: readonly StreamFacts[]): Inspection['topics'][number] {
  const head = streams.map(({ lastId }) => lastId).reduce((a, b) => (compareIds(a, b) > 0 ? a : b), firstId)
  const lastTimeMs = head === firstId ? undefined : timeOfId(head)
  const messages = streams.reduce((sum, { length }) => sum + length, 0)
  return { topic, messages, head, ...(lastTimeMs === undefined ? {} : { lastTimeMs }) }
}

async function groupsOf(
  context: RedisContext,
  topic: string,
  streams: readonly StreamFacts[],
  nowMs: number,
): Promise<readonly GroupState[]> {
  const standings = (await Promise.all(streams.map((facts) => standingsIn(context, facts)))).flat()
  const byGroup = [...Map.groupBy(standings, ({ group }) => group)].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return Promise.all(
    byGroup.map(async ([group, all]): Promise<GroupState> => {
      const times = all.flatMap(({ oldestMs }) => (oldestMs === undefined ? [] : [oldestMs]))
      const own = await countMembers(context, topic, group)
      const state = {
        group,
        topic,
        lagMessages: all.reduce((sum, { lag }) => sum + lag, 0),
        members: own > 0 ? own : Math.max(...all.map(({ members }) => members)),
      }
      return times.length === 0 ? state : { ...state, oldestAgeMs: Math.max(0, nowMs - Math.min(...times)) }
    }),
  )
}

async function standingsIn(context: RedisContext, facts: StreamFacts): Promise<readonly Standing[]> {
  const { client } = context.connections
  const { stream, lastId } = facts
  const behind = async (id: string) => {
    if (compareIds(id, lastId) >= 0 || facts.length === 0) return { lag: 0, oldestMs: undefined }
    const [next] = await client.xrange(stream, `(${id}`, '+', 'COUNT', 1)
    return { lag: await countAfter(client, stream, id), oldestMs: next && timeOfId(next[0]) }
  }
  const ours = Object.entries(facts.ours).map(async ([group, state]): Promise<Standing> => {
    const settled = /^\d+ (\d+-\d+)/.exec(state)?.[1] ?? firstId
    return { group, members: 0, ...(await behind(settled)) }
  })
  const plain = facts.plain.map(async ({ name, pending, lastDelivered }): Promise<Standing> => {
    const { lag, oldestMs } = await behind(lastDelivered)
    const first = pending === 0 ? undefined : ((await client.xpending(stream, name)) as unknown[])[1]
    const oldest = typeof first === 'string' ? timeOfId(first) : oldestMs
    return { group: name, lag: lag + pending, oldestMs: oldest, members: await activeConsumers(context, stream, name) }
  })
  return Promise.all([...ours, ...plain])
}

async function activeConsumers({ connections }: RedisContext, stream: string, group: string): Promise<number> {
  const rows = (await connections.client.xinfo('CONSUMERS', stream, group).catch(() => [])) as unknown[][]
  return rows.filter((row) => Number(row[row.indexOf('idle') + 1]) < memberMs).length
}

/** The server's own clock, which made the ids. Ours, where it may not be asked. */
async function serverTime({ connections }: RedisContext): Promise<number> {
  const [node] = connections.masters()
  const time = await node?.time().catch(() => undefined)
  return time === undefined ? Date.now() : Math.floor(Number(time[0]) * 1_000 + Number(time[1]) / 1_000)
}
