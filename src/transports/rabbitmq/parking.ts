import { hash } from 'node:crypto'
import type { DeadLetterTopics } from '../transport.ts'
import { argumentsOf, declareDeadLetterQueue } from './burial.ts'
import type { Link } from './connect.ts'
import type { Delivery } from './driver.ts'
import { propertiesOf } from './grave.ts'
import { holdQueue, looksHarmless } from './looking.ts'
import { queueState } from './queue-state.ts'
import type { Sender } from './sender.ts'
import type { Session } from './session.ts'
import { nameOf } from './started.ts'
import { visibleText } from './wire.ts'

const parkingQueueOf = (queue: string): string => `${queue}.parking`

interface ParkingInit {
  readonly session: Session
  readonly sender: Sender
}

/** A classic queue beside the one in which every look counts. */
export function createRabbitParking({
  session,
  sender,
}: ParkingInit): Required<Pick<DeadLetterTopics, 'beside' | 'moveBeside'>> {
  return {
    async beside(queue) {
      const link = await session.link('read')
      const given = await argumentsOf(link, queue)
      if (given === undefined || looksHarmless(link, given)) return undefined
      return { messages: (await queueState(link, queue))?.messageCount ?? 0, to: parkingQueueOf(queue) }
    },
    async moveBeside(queue, signal) {
      const link = await session.link('read')
      const to = parkingQueueOf(queue)
      await declareDeadLetterQueue(link, to)
      const wasParked = await copiesIn(link, to, signal)
      const held = await holdQueue(link, queue)
      let moved = 0
      try {
        for await (const batch of held.batches(signal)) {
          const open = batch.filter((delivery) => !(delivery.redelivered && wasParked(delivery)))
          const tried = new Set(open)
          const prepare = async () =>
            open.map((delivery) => {
              const headers = withoutCounts(delivery)
              const envelope = { ...propertiesOf(delivery), headers, exchange: '', routingKey: to, mandatory: true }
              return { lane: 0, envelope, body: delivery.body }
            })
          const results = await sender.send({ topic: to, count: open.length, signal, prepare })
          const failed = results.find(({ state }) => state !== 'stored')
          const stored = new Set(open.filter((_, i) => results[i]?.state === 'stored'))
          held.remove(batch.filter((delivery) => stored.has(delivery) || !tried.has(delivery)))
          moved += stored.size
          if (failed !== undefined && 'error' in failed) throw failed.error
        }
      } finally {
        await held.giveBack()
      }
      return moved
    },
  }
}

/**
 * Whether a call that ended on the way has left a copy of it in `queue`: the function it returns takes each copy for one message. What has no id is
 * never taken for another that looks alike: twice is better than not at all.
 */
async function copiesIn(link: Link, queue: string, signal: AbortSignal): Promise<(delivery: Delivery) => boolean> {
  const held = await holdQueue(link, queue)
  const copies = new Map<string, number>()
  try {
    for await (const batch of held.batches(signal)) {
      for (const delivery of batch) {
        const print = printOf(delivery)
        if (print !== undefined) copies.set(print, (copies.get(print) ?? 0) + 1)
      }
    }
  } finally {
    await held.giveBack()
  }
  return (delivery) => {
    const print = printOf(delivery) ?? ''
    const count = copies.get(print) ?? 0
    if (count > 0) copies.set(print, count - 1)
    return count > 0
  }
}

/** The same for the same message in both queues; undefined where it has no id. */
function printOf(delivery: Delivery): string | undefined {
  const name = nameOf(delivery)
  if (name === undefined) return undefined
  return hash('sha256', Buffer.concat([Buffer.from(`${name} ${visibleText(withoutCounts(delivery))} `), delivery.body]))
}

function withoutCounts({ headers }: Delivery): Record<string, unknown> {
  const { 'x-delivery-count': _, 'x-acquired-count': __, ...rest } = (headers ?? {}) as Record<string, unknown>
  return rest
}
