// Reading what lies in a queue without changing it, where that can be done.
import type { Channel } from 'rabbitmq-client'
import { EvtError } from '../../core/errors.ts'
import { createDoorbell } from '../doorbell.ts'
import { lock } from './about.ts'
import { argumentsOf } from './burial.ts'
import { closeChannel, type Link, within } from './connect.ts'
import type { Delivery } from './driver.ts'
import { managedQueue } from './management.ts'
import { isAtLeast } from './server-version.ts'
import type { Session } from './session.ts'
import { queueState } from './topics.ts'

export type Look = 'classic' | 'quorum' | 'stream'

/** What kind of queue it is, when looking leaves it as it is. undefined where it is missing. Throws `refused`. */
export async function assertHarmless(session: Session, link: Link, queue: string): Promise<Look | undefined> {
  if ((await queueState(link, queue)) === undefined) return undefined
  const managed = await managedQueue(session.options, queue)
  const given = managed?.arguments ?? (await argumentsOf(link, queue))
  const type = String(managed?.type ?? given?.['x-queue-type'] ?? 'classic')
  if (type === 'classic' || type === 'stream') return type
  if (isAtLeast(link.server.version, 4, 3)) return 'quorum'
  const known = [given?.['x-delivery-limit'], managed?.effective_policy_definition?.['delivery-limit']].filter(
    (limit) => limit !== undefined,
  )
  const limits =
    known.length === 0 && isAtLeast(link.server.version, 4, 0) ? [20] : known.map(Number).filter((limit) => limit >= 0)
  if (managed !== undefined && limits.length === 0) return 'quorum'
  throw new EvtError('refused', `cannot look into queue ${queue}: ${reasonFor(limits, link)}`, {
    hint: hintFor(limits.length > 0),
  })
}

function reasonFor(limits: readonly number[], { server }: Link): string {
  const counts = `in a quorum queue of RabbitMQ ${server.version} every look counts as a failed delivery`
  return limits.length > 0
    ? `${counts}, and after ${Math.min(...limits)} of them its messages are gone`
    : `${counts}, and whether a policy limits them AMQP does not tell`
}

const hintFor = (isLimited: boolean): string =>
  isLimited
    ? 'move them to a classic queue or a stream (a shovel does that) and list that one; or run RabbitMQ 4.3, which does not count looking'
    : 'add ?management=http://HOST:15672 to the URL, so that evt can see that there is no limit; or move them to a classic queue or a stream'

/** What one consumer is sent before another one is added: holding everything needs no acknowledgement and no unbounded memory. */
const atOnce = 500
const silentMs = 3_000

export interface Held {
  /** All that was ready, oldest first, in batches. */
  batches(signal: AbortSignal): AsyncGenerator<readonly Delivery[]>
  /** These are done with, for ever. */
  remove(deliveries: readonly Delivery[]): void
  /** Everything else goes back to where it was. */
  giveBack(): Promise<void>
}

/** Holds what lies in a queue; two never do at once, or each would see a part. For that time consumers of the queue see nothing. */
export async function holdQueue(link: Link, queue: string): Promise<Held> {
  const holder = await lock(link, `${queue}/looking`)
  const channel = await link.channel()

  async function giveBack(): Promise<void> {
    // Explicitly: that is what RabbitMQ 4.3 does not count.
    if (channel.active) channel.basicNack({ deliveryTag: 0, multiple: true, requeue: true })
    await closeChannel(channel)
    await closeChannel(holder)
  }

  return {
    batches: (signal) => readAll(link, channel, queue, signal),
    remove(deliveries) {
      for (const { deliveryTag } of deliveries) if (channel.active) channel.basicAck({ deliveryTag })
    },
    giveBack,
  }
}

async function* readAll(
  link: Link,
  channel: Channel,
  queue: string,
  signal: AbortSignal,
): AsyncGenerator<readonly Delivery[]> {
  const bell = createDoorbell()
  const count = (await queueState(link, queue))?.messageCount ?? 0
  let arrived: Delivery[] = []
  const onMessage = (delivery: unknown) => {
    arrived.push(delivery as Delivery)
    bell.ring()
  }
  await within(channel.basicQos({ prefetchCount: atOnce }), `look into ${queue}`)
  for (let taken = 0, room = 0; taken < count && !signal.aborted; ) {
    if (room === 0) {
      await within(channel.basicConsume({ queue }, onMessage), `look into ${queue}`)
      room = atOnce
    }
    // A ring may be that of a message that was taken long ago.
    const silence = AbortSignal.timeout(silentMs)
    while (arrived.length === 0 && !isOver(signal, link.lost, silence)) await bell.wait(signal, link.lost, silence)
    const batch = arrived
    arrived = []
    if (batch.length === 0 && !signal.aborted) {
      // Somebody else took the rest, or it cannot be had.
      if (((await queueState(link, queue))?.messageCount ?? 0) === 0) return
      throw new EvtError(
        'timeout',
        `cannot look into ${queue}: the server hands out no more than ${taken} of ${count}`,
        {
          hint: 'another consumer holds the queue for itself: `rabbitmqctl list_consumers` shows it',
        },
      )
    }
    taken += batch.length
    room = Math.max(0, room - batch.length)
    if (batch.length > 0) yield batch
  }
}

const isOver = (...signals: readonly AbortSignal[]): boolean => signals.some(({ aborted }) => aborted)

const quietMs = 500

/** Everything in a stream, from the first on; it does not say where it ends: nothing more for a while is the end. */
export async function* readStream(link: Link, queue: string, signal: AbortSignal): AsyncGenerator<readonly Delivery[]> {
  const channel = await link.channel()
  const bell = createDoorbell()
  let arrived: Delivery[] = []
  const onMessage = (delivery: unknown) => {
    arrived.push(delivery as Delivery)
    bell.ring()
  }
  try {
    await within(channel.basicQos({ prefetchCount: atOnce }), `look into ${queue}`)
    await within(
      channel.basicConsume({ queue, arguments: { 'x-stream-offset': 'first' } }, onMessage),
      `look into ${queue}`,
    )
    while (!signal.aborted) {
      const quiet = AbortSignal.timeout(quietMs)
      while (arrived.length === 0 && !isOver(signal, link.lost, quiet)) await bell.wait(signal, link.lost, quiet)
      const batch = arrived
      arrived = []
      const last = batch.at(-1)
      if (last === undefined) return
      yield batch
      // Of a stream that is only asking for more.
      channel.basicAck({ deliveryTag: last.deliveryTag, multiple: true })
    }
  } finally {
    await closeChannel(channel)
  }
}
