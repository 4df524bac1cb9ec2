import type { GroupState, Inspection } from '../transport.ts'
import { aboutQueueOf, readAbout } from './about.ts'
import { deadLetterQueueOf } from './burial.ts'
import type { Link } from './connect.ts'
import { type Group, shapeOf } from './group.ts'
import type { RabbitLane } from './lane.ts'
import { managedFacts, managedQueue } from './management.ts'
import { queueState } from './queue-state.ts'
import type { Session } from './session.ts'
import type { Topics } from './topics.ts'

export interface InspectInit {
  readonly session: Session
  readonly topics: Topics
  /** Lanes of this process: the server tells over AMQP what is ready, and not what its consumers hold. */
  owned(): Iterable<Pick<RabbitLane, 'held'> & { readonly topic: string; readonly group: string }>
}

export async function inspectRabbit(init: InspectInit, names: readonly string[]): Promise<Inspection> {
  const link = await init.session.link('read')
  const inspections = await Promise.all(names.map((name) => inspectTopic(init, link, name)))
  return { topics: inspections.flatMap(({ topics }) => topics), groups: inspections.flatMap(({ groups }) => groups) }
}

async function inspectTopic(init: InspectInit, link: Link, topic: string): Promise<Inspection> {
  const kind = await init.topics.resolve(topic)
  if (kind === undefined) return { topics: [], groups: [] }
  const groups = await Promise.all((await groupsOf(init, link, topic)).map((group) => groupState(init, link, group)))
  const state = kind.kind === 'queue' ? await queueState(link, topic) : undefined
  // An exchange keeps nothing: what is there is what the slowest group has not settled.
  const messages = state?.messageCount ?? Math.max(0, ...groups.map(({ lagMessages }) => lagMessages))
  return { topics: [{ topic, messages, head: '' }], groups }
}

type Shape = Omit<Group, 'ahead'>

async function groupsOf({ session, topics }: InspectInit, link: Link, topic: string): Promise<readonly Shape[]> {
  const kind = await topics.resolve(topic)
  const about = await readAbout(link, topic)
  if (kind === undefined) return []
  return Object.keys(about?.groups ?? {}).map((name) => shapeOf(topic, kind, name, session.options.bindingKey))
}

async function groupState(init: InspectInit, link: Link, group: Shape): Promise<GroupState> {
  const states = await Promise.all(group.lanes.map(({ queue }) => queueState(link, queue)))
  const managed = await Promise.all(group.lanes.map(({ queue }) => managedQueue(init.session.options, queue)))
  const ready = states.reduce((sum, state) => sum + (state?.messageCount ?? 0), 0)
  // With what consumers of other processes hold; some seconds old.
  const known = managed.reduce((sum, queue) => sum + (queue?.messages ?? 0), 0)
  const held = [...init.owned()].filter((lane) => lane.topic === group.topic && lane.group === group.name)
  const oldestMs = held
    .flatMap(({ held: { oldestMs } }) => (oldestMs === undefined ? [] : [oldestMs]))
    .toSorted((a, b) => a - b)[0]
  const locks = await Promise.all(group.lanes.map(({ lock }) => queueState(link, lock)))
  const ownedAnywhere = locks.filter((lock) => (lock?.consumerCount ?? 0) > 0).length
  const members = (await queueState(link, group.members))?.consumerCount ?? 0
  return {
    group: group.name,
    topic: group.topic,
    lagMessages: Math.max(
      known,
      held.reduce((sum, lane) => sum + lane.held.messages, ready),
    ),
    members,
    ...(ownedAnywhere > held.length && { lagIsLeast: true }),
    ...(oldestMs !== undefined && { oldestAgeMs: Math.max(0, Date.now() - oldestMs) }),
  }
}

/**
 * With the management API all queues, consumers and bindings of the vhost; without it the depth and consumers of each queue that belongs to
 * these topics: over AMQP nobody lists what there is.
 */
export async function footprintOf(
  init: InspectInit,
  names: readonly string[],
): Promise<Readonly<Record<string, string>>> {
  const link = await init.session.link('read')
  const facts: Record<string, string> = {}
  const managed = await managedFacts(init.session.options)
  if (managed === undefined) facts['other queues, bindings and what consumers hold'] = 'not asked: name ?management=URL'
  for (const topic of names) {
    const kind = await init.topics.resolve(topic)
    facts[`topic ${topic}`] = kind === undefined ? 'missing' : kind.kind
    if (managed !== undefined) continue
    const groups = await groupsOf(init, link, topic)
    const queues = groups.flatMap(({ lanes, epochs, members, hungry }) => [
      ...lanes.flatMap(({ queue, lock, started }) => [queue, lock, started]),
      epochs,
      members,
      hungry,
    ])
    if (kind?.kind === 'queue') queues.push(topic)
    for (const queue of [...queues, aboutQueueOf(topic), deadLetterQueueOf(topic)]) {
      const state = await queueState(link, queue)
      facts[`queue ${queue}`] =
        state === undefined ? 'missing' : `${state.messageCount} ready, ${state.consumerCount} consumers`
    }
  }
  return { ...facts, ...managed }
}
