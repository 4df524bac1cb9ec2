// Who owns a lane, and since when: a lock for each lane, and one ticket for the group.
import type { Channel } from 'rabbitmq-client'
import { EvtError } from '../../core/errors.ts'
import { closeChannel, type Link, pause, withChannel, within } from './connect.ts'
import type { Delivery } from './driver.ts'
import { codeOf } from './errors.ts'
import type { Group, LaneQueue, Ticket } from './group.ts'

/** For a ticket that other members draw too, and give back at once. */
const drawWithinMs = 5_000

export interface Locked {
  readonly at: LaneQueue
  /** The lane is free again when it is closed. */
  readonly channel: Channel
}

/** Owns the lane over a channel of its own; undefined where another one does. A consumer holds nothing that could time out. */
export async function lockLane(link: Link, at: LaneQueue): Promise<Locked | undefined> {
  const channel = await link.channel()
  try {
    await within(
      channel.basicConsume({ queue: at.lock, exclusive: true }, () => {}),
      `claim ${at.id}`,
    )
    return { at, channel }
  } catch (error) {
    await closeChannel(channel)
    const cause = error instanceof EvtError ? error.cause : error
    if (codeOf(cause) === 'ACCESS_REFUSED' && /exclusive/.test(String(cause))) return undefined
    throw error
  }
}

/** Higher than all that were drawn before. Throws `timeout` when the ticket is not there. */
export function drawEpoch(link: Link, { epochs }: Group): Promise<bigint> {
  return withChannel(link, async (channel) => {
    for (const deadline = performance.now() + drawWithinMs; performance.now() < deadline; ) {
      const drawn = (await within(channel.basicGet({ queue: epochs }), `draw from ${epochs}`)) as unknown
      if (drawn !== undefined) {
        const ticket = drawn as Delivery
        channel.basicNack({ deliveryTag: ticket.deliveryTag, requeue: true })
        return epochOf(ticket)
      }
      await pause(10 + Math.random() * 20, link.lost)
    }
    throw new EvtError('timeout', `cannot draw from ${epochs}: its message is not there`, {
      hint: `if somebody purged it: rabbitmqctl delete_queue ${epochs}; it is made again`,
    })
  })
}

/**
 * Quorum queues count how often they handed a message out: up to 4.2 as `x-delivery-count`; since 4.3 that counts failures only, and
 * `x-acquired-count` the rest. 20 bits of it, above those the time of the ticket in ms: that fits into 63 bits until 2248.
 */
function epochOf({ headers, body }: Delivery): bigint {
  const { since } = JSON.parse(body.toString()) as Ticket
  const counts = [headers?.['x-delivery-count'], headers?.['x-acquired-count']].map(Number).filter(Number.isFinite)
  return (BigInt(since) << 20n) + BigInt(Math.max(0, ...counts) + 1)
}
