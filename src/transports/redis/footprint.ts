import type { RedisContext } from './context.ts'
import { factsOf } from './facts.ts'
import { isGlob } from './find-streams.ts'

/**
 * What a reader could leave behind: lengths, groups, what they have pending, and who is subscribed. Places that consumers move are in it too,
 * so that it is equal only while nobody else works.
 */
export async function footprintOf(
  context: RedisContext,
  names: readonly string[],
): Promise<Readonly<Record<string, string>>> {
  const { streams, channels } = context.options
  if (channels.length > 0) return subscriptions(context, names.length > 0 ? names : channels)
  const facts = await factsOf(context, names.length > 0 ? names : streams)
  const lines = facts.flatMap(({ stream, exists, length, lastId, added, ours, plain }): [string, string][] => [
    [`stream ${stream}`, exists ? `${length} entries, ${added} ever added, last ${lastId}` : 'not there'],
    [`groups of ${stream}`, plain.map(({ name }) => name).join(', ') || 'none'],
    ...plain.map(({ name, consumers, pending, lastDelivered, entriesRead }): [string, string] => [
      `group ${name} of ${stream}`,
      `${consumers} consumers, ${pending} pending, delivered ${lastDelivered}, read ${entriesRead}`,
    ]),
    ...Object.entries(ours).map(([name, state]): [string, string] => [`evt group ${name} of ${stream}`, state]),
  ])
  return Object.fromEntries(lines.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

async function subscriptions(
  context: RedisContext,
  names: readonly string[],
): Promise<Readonly<Record<string, string>>> {
  const masters = context.connections.masters()
  const ask = <T>(asked: Promise<unknown>, none: T) => asked.then((answer) => answer as T).catch(() => none)
  const channels = names.filter((name) => !isGlob(name))
  const [counts, patterns] = await Promise.all([
    Promise.all(masters.map((node) => ask<unknown[]>(node.call('PUBSUB', 'NUMSUB', ...channels), []))),
    Promise.all(masters.map((node) => ask(node.call('PUBSUB', 'NUMPAT'), 0))),
  ])
  const subscribers = channels.map((channel, at): [string, string] => {
    const total = counts.reduce((sum, flat) => sum + Number(flat[2 * at + 1] ?? 0), 0)
    return [`subscribers of ${channel}`, String(total)]
  })
  const total = patterns.reduce((sum, count) => sum + Number(count), 0)
  return Object.fromEntries([...subscribers, ['subscribed patterns on the server', String(total)]])
}
