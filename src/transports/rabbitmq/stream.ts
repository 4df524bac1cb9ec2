// Stream queues: read for ever without a trace, from any offset.
import type { AsyncMessage, Channel } from 'rabbitmq-client'
import { createDoorbell } from '../doorbell.ts'
import { type Link, pause, withChannel, within } from './connect.ts'
import type { Delivery } from './driver.ts'

const emptyMs = 2_000
const atOnce = 500

/** Offset of a message; -1 where it has none. */
export const offsetOf = ({ headers }: Pick<Delivery, 'headers'>): number => Number(headers?.['x-stream-offset'] ?? -1)

/** Begins to hand over what follows `offset`: `first`, `next`, `last` (chunk), a number, or an interval as `30s`. */
export async function consumeStream(
  channel: Channel,
  queue: string,
  offset: string | number,
  onMessage: (message: AsyncMessage) => void,
): Promise<void> {
  await within(channel.basicConsume({ queue, arguments: { 'x-stream-offset': offset } }, onMessage), `read ${queue}`)
}

/** The last message that is there now. AMQP does not tell whether a stream has any: none within two seconds is none. */
export function lastInStream(link: Link, queue: string): Promise<Delivery | undefined> {
  return withChannel(link, async (channel) => {
    await within(channel.basicQos({ prefetchCount: atOnce }), `read ${queue}`)
    const ended = new AbortController()
    let last: Delivery | undefined
    await consumeStream(channel, queue, 'last', (message) => {
      last = message as unknown as Delivery
      // The last chunk may hold more than one; they come together.
      setImmediate(() => ended.abort())
    })
    await pause(emptyMs, ended.signal, link.lost)
    return last
  })
}

/** Everything in a stream from the first to what is the last now. */
export async function* readStream(link: Link, queue: string, signal: AbortSignal): AsyncGenerator<readonly Delivery[]> {
  const end = await lastInStream(link, queue)
  if (end === undefined) return
  const channel = await link.channel()
  const bell = createDoorbell()
  let arrived: Delivery[] = []
  try {
    await within(channel.basicQos({ prefetchCount: atOnce }), `read ${queue}`)
    await consumeStream(channel, queue, 'first', (message) => {
      arrived.push(message as unknown as Delivery)
      bell.ring()
    })
    while (!signal.aborted && !link.lost.aborted) {
      if (arrived.length === 0) await bell.wait(signal, link.lost)
      const batch = arrived.filter((delivery) => offsetOf(delivery) <= offsetOf(end))
      const last = arrived.at(-1)
      arrived = []
      if (batch.length > 0) yield batch
      if (last === undefined) continue
      if (offsetOf(last) >= offsetOf(end)) return
      // Of a stream that only asks for more.
      channel.basicAck({ deliveryTag: last.deliveryTag, multiple: true })
    }
  } finally {
    await channel.close().catch(() => {})
  }
}
