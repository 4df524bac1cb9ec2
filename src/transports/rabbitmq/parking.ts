import { hash } from 'node:crypto'
import type { DeadLetterTopics } from '../transport.ts'
import { argumentsOf, declareDeadLetterQueue } from './burial.ts'
import type { Link } from './connect.ts'
import type { Delivery } from './driver.ts'
import { propertiesOf } from './grave.ts'
import { holdQueue, looksHarmless } from './looking.ts'
import type { Sender } from './publish.ts'
import { queueState } from './queue-state.ts'
import type { Session } from './session.ts'
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
      const parked = await printsIn(link, to, signal)
      const held = await holdQueue(link, queue)
      let moved = 0
      try {
        for await (const batch of held.batches(signal)) {
          // What came back from a call that ended on the way may lie there.
          const open = batch.filter((delivery) => !(delivery.redelivered && parked.has(printOf(delivery))))
          const prepare = async () =>
            open.map((delivery) => {
              const headers = withoutCounts(delivery)
              const envelope = { ...propertiesOf(delivery), headers, exchange: '', routingKey: to, mandatory: true }
              return { lane: 0, envelope, body: delivery.body }
            })
          const results = await sender.send({ topic: to, count: open.length, signal, prepare })
          const failed = results.find(({ state }) => state !== 'stored')
          const stored = new Set(open.filter((_, i) => results[i]?.state === 'stored'))
          const done = batch.filter((delivery) => stored.has(delivery) || !open.includes(delivery))
          held.remove(done)
          moved += done.length
          if (failed !== undefined && 'error' in failed) throw failed.error
        }
      } finally {
        await held.giveBack()
      }
      return moved
    },
  }
}

async function printsIn(link: Link, queue: string, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const held = await holdQueue(link, queue)
  const prints = new Set<string>()
  try {
    for await (const batch of held.batches(signal)) for (const delivery of batch) prints.add(printOf(delivery))
  } finally {
    await held.giveBack()
  }
  return prints
}

/** The same for the same message in both queues; two that differ in nothing may be one. */
const printOf = (delivery: Delivery): string =>
  hash(
    'sha256',
    Buffer.concat([Buffer.from(`${delivery.messageId ?? ''} ${visibleText(withoutCounts(delivery))} `), delivery.body]),
  )

function withoutCounts({ headers }: Delivery): Record<string, unknown> {
  const { 'x-delivery-count': _, 'x-acquired-count': __, ...rest } = (headers ?? {}) as Record<string, unknown>
  return rest
}
