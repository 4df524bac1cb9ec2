// A group of a topic, in queues:
//
//   <topic>/<group>/<lane>    quorum, single active consumer: what waits for the group; bound to the topic's exchange by `<lane>.#`
//   <topic>/<group>/<lane>/owner  no message ever: its exclusive consumer owns the lane, over the channel that consumes the lane
//   <topic>/<group>/<lane>/started  one message: what its owners were handed and did not settle (started.ts)
//   <topic>/<group>/epoch     quorum: one ticket. How often it was handed out is the epoch of lanes that are claimed with it
//   <topic>/<group>/members   no message ever: its consumers are the members
//   <topic>/<group>/hungry    no message ever: its consumers are members that have fewer lanes than their share
//   <topic>.dlq               where the server puts what was delivered too often, so that it is never dropped
//
// A message that is held to own something would not do: the server takes it back after `consumer_timeout`, and the channel with it.
// A server that is short of memory takes no messages, and lanes move all the same: only what is started is published, and not waited for then.
import type { Channel } from 'rabbitmq-client'
import { EvtError } from '../../core/errors.ts'
import { type About, changeAbout, readAbout } from './about.ts'
import { deadLetterQueueOf, declareDeadLetterQueue } from './burial.ts'
import { type Link, withChannel, within } from './connect.ts'
import { queueState } from './queue-state.ts'
import type { Session } from './session.ts'
import { declareStarted } from './started.ts'
import type { Topic } from './topics.ts'

export interface Group {
  readonly topic: string
  readonly name: string
  readonly lanes: readonly LaneQueue[]
  readonly epochs: string
  readonly members: string
  readonly hungry: string
  /** What every member fetches ahead, whatever it hands out. */
  readonly ahead: number
}

export interface LaneQueue {
  readonly id: string
  readonly queue: string
  /** Whose exclusive consumer owns the lane. */
  readonly lock: string
  /** What its owners were handed and did not settle. */
  readonly started: string
  /** undefined: not evt's to make. */
  readonly bindingKey?: string
}

export interface Ticket {
  /** When it was made, ms since the epoch: a group whose ticket was lost goes on with higher epochs. */
  readonly since: number
}

/**
 * Every change of owner counts as a delivery of all that was fetched, so this is no limit for attempts but for owners: a thousand that died
 * or left while one message lay there. Without it RabbitMQ 4 drops a message after 20, and 3 never gives one up.
 */
const deliveryLimit = 1_000
/** The ticket is delivered with every change of owner, for ever. */
const ticketLimit = 2_000_000_000

const laneArguments = (topic: string) =>
  ({
    'x-queue-type': 'quorum',
    'x-single-active-consumer': true,
    'x-delivery-limit': deliveryLimit,
    // Both are what makes dead-lettering at least once.
    'x-overflow': 'reject-publish',
    'x-dead-letter-strategy': 'at-least-once',
    'x-dead-letter-exchange': '',
    'x-dead-letter-routing-key': deadLetterQueueOf(topic),
  }) as const

export function shapeOf(topic: string, kind: Topic, group: string, bindingKey = '#'): Omit<Group, 'ahead'> {
  const base = `${topic}/${group}`
  const laneOf = (index: number, id: string, queue: string) => ({
    id,
    queue,
    lock: `${base}/${index}/owner`,
    started: `${base}/${index}/started`,
  })
  const lanes = (): readonly LaneQueue[] => {
    if (kind.kind === 'queue') return [laneOf(0, topic, topic)]
    if (kind.kind === 'exchange') return [{ ...laneOf(0, `${base}/0`, `${base}/0`), bindingKey }]
    return Array.from({ length: kind.lanes }, (_, i) => ({
      ...laneOf(i, `${topic}/${i}`, `${base}/${i}`),
      bindingKey: `${i}.#`,
    }))
  }
  return {
    topic,
    name: group,
    lanes: lanes(),
    epochs: `${base}/epoch`,
    members: `${base}/members`,
    hungry: `${base}/hungry`,
  }
}

/** Queues that earlier versions made for a group, and nobody reads. */
export const formerQueues = ({ topic, name }: Pick<Group, 'topic' | 'name'>): readonly string[] => [
  `${topic}/${name}/owners`,
]

/** The group, made when it is missing or incomplete. Throws `conflict` for a queue of its names with other arguments. */
export async function openGroup(
  session: Session,
  topic: string,
  kind: Topic,
  name: string,
  prefetch: number,
): Promise<Group> {
  const shape = shapeOf(topic, kind, name, session.options.bindingKey)
  const link = await session.link('read')
  const record = (await readAbout(link, topic))?.groups[name]
  if (record !== undefined && record.prefetch >= prefetch && (await isComplete(link, shape))) {
    // Whatever was deleted or unbound since the last connection.
    await declareDeadLetterQueue(link, deadLetterQueueOf(topic))
    await withChannel(link, async (channel) => {
      for (const lane of shape.lanes) await declareLane(channel, topic, lane)
    })
    return { ...shape, ahead: record.prefetch }
  }
  const maker = await session.link('publish')
  let ahead = prefetch
  await changeAbout(maker, topic, async (about, channel) => {
    const known = about?.groups[name]
    ahead = Math.max(prefetch, known?.prefetch ?? 0)
    if (known === undefined || !(await isComplete(maker, shape))) await make(maker, channel, shape)
    return withGroup(about, name, ahead)
  })
  return { ...shape, ahead }
}

async function isComplete(link: Link, { epochs, members, hungry }: Omit<Group, 'ahead'>): Promise<boolean> {
  for (const queue of [epochs, members, hungry]) if ((await queueState(link, queue)) === undefined) return false
  return true
}

/** What all members fetch ahead now: one with a bigger prefetch may have joined. */
export async function aheadOf(link: Link, { topic, name, ahead }: Group): Promise<number> {
  return Math.max(ahead, (await readAbout(link, topic))?.groups[name]?.prefetch ?? 0)
}

function withGroup(about: About | undefined, name: string, prefetch: number): About {
  return { ...about, groups: { ...about?.groups, [name]: { prefetch } } }
}

/** Holding the lock. What a maker that died left behind is made anew: its ticket may be missing, and was never handed out. */
async function make(link: Link, channel: Channel, shape: Omit<Group, 'ahead'>): Promise<void> {
  await declareDeadLetterQueue(link, deadLetterQueueOf(shape.topic))
  for (const lane of shape.lanes) await declareLane(channel, shape.topic, lane)
  for (const queue of [shape.members, shape.hungry]) {
    await within(channel.queueDeclare({ queue, durable: true }), `declare queue ${queue}`)
  }
  const queue = shape.epochs
  for (const old of [queue, ...formerQueues(shape)])
    await within(channel.queueDelete({ queue: old }), `make queue ${queue} anew`)
  const ticketArguments = { 'x-queue-type': 'quorum', 'x-delivery-limit': ticketLimit } as const
  await within(channel.queueDeclare({ queue, durable: true, arguments: ticketArguments }), `declare queue ${queue}`)
  const ticket: Ticket = { since: Date.now() }
  const envelope = { routingKey: queue, durable: true, mandatory: true, contentType: 'application/json' }
  await within(channel.basicPublish(envelope, Buffer.from(JSON.stringify(ticket))), `write to ${queue}`)
}

async function declareLane(channel: Channel, topic: string, lane: LaneQueue): Promise<void> {
  const { queue, lock, started, bindingKey } = lane
  await within(channel.queueDeclare({ queue: lock, durable: true }), `declare queue ${lock}`)
  await declareStarted(channel, started)
  if (bindingKey === undefined) return
  await within(
    channel.queueDeclare({ queue, durable: true, arguments: laneArguments(topic) }),
    `declare queue ${queue}`,
  )
  await within(channel.queueBind({ queue, exchange: topic, routingKey: bindingKey }), `bind queue ${queue} to ${topic}`)
}

/** Makes the queue of a lane again that somebody deleted. What was published meanwhile is not in it. */
export async function repairLane(link: Link, { topic }: Group, lane: LaneQueue): Promise<void> {
  if (lane.bindingKey === undefined) {
    throw new EvtError('usage', `cannot consume ${lane.queue}: there is no such queue`, {
      hint: 'it is not evt that makes it; `rabbitmqctl list_queues` shows which there are',
    })
  }
  await withChannel(link, (channel) => declareLane(channel, topic, lane))
}
