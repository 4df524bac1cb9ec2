// Reading what lies in a queue without changing it, where that can be done.
import type { Channel } from 'rabbitmq-client'
import { EvtError } from '../../core/errors.ts'
import { createDoorbell } from '../doorbell.ts'
import { lock } from './about.ts'
import { createAcks } from './acks.ts'
import { argumentsOf } from './burial.ts'
import { closeChannel, type Link, pause, within } from './connect.ts'
import type { Delivery } from './driver.ts'
import { queueState } from './queue-state.ts'
import { isAtLeast } from './server-version.ts'

export type Look = 'classic' | 'quorum' | 'stream'

/**
 * What kind of queue it is, when looking leaves it as it is; undefined where it is missing. Throws `refused` for a quorum queue before 4.3, also for
 * one without a limit: each look raises a count in every message, and the first policy with a limit below it removes them all.
 */
export async function assertHarmless(link: Link, queue: string): Promise<Look | undefined> {
  const given = await argumentsOf(link, queue)
  if (given === undefined) return undefined
  const type = given['x-queue-type'] ?? 'classic'
  if (looksHarmless(link, given)) return type as Look
  const { version } = link.server
  const limit = Number(given['x-delivery-limit'] ?? (isAtLeast(version, 4, 0) ? 20 : Number.NaN))
  const ends = limit >= 0 ? `after ${limit} of them its messages are gone` : 'a limit by policy would remove them all'
  const reason = `in a ${type} queue of RabbitMQ ${version} every look counts as a failed delivery, and ${ends}`
  throw new EvtError('refused', `cannot look into queue ${queue}: ${reason}`, {
    hint: '`evt dlq list --move-beside …` moves them to a classic queue beside it, to look at them there; RabbitMQ 4.3 does not count looking',
  })
}

export function looksHarmless({ server }: Link, given: Readonly<Record<string, unknown>>): boolean {
  const type = given['x-queue-type'] ?? 'classic'
  return type === 'classic' || type === 'stream' || (type === 'quorum' && isAtLeast(server.version, 4, 3))
}

/** What one consumer is sent before another one is added: holding everything needs no acknowledgement and no unbounded memory. */
const atOnce = 500
const silentMs = 3_000
const settleWithinMs = 15_000

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
  const reading: Reading = { link, channel, queue, consumers: [], others: 0 }
  const acks = createAcks((deliveryTag, multiple) => {
    if (channel.active) channel.basicAck({ deliveryTag, multiple })
  })

  async function giveBack(): Promise<void> {
    try {
      acks.flush()
      if (channel.active) await giveAllBack(reading)
    } finally {
      await closeChannel(channel)
      await closeChannel(holder)
    }
  }

  return {
    batches: (signal) => readAll(reading, signal),
    remove: (deliveries) => acks.settle(deliveries.map(({ deliveryTag }) => deliveryTag)),
    giveBack,
  }
}

interface Reading {
  readonly link: Link
  readonly channel: Channel
  readonly queue: string
  /** Tags of ours. */
  readonly consumers: string[]
  /** How many consumers the queue had before. */
  others: number
}

/**
 * A quorum queue's acknowledgements wait in the server, 32 commands at a time, and a channel that is closed forgets them. The answer to nothing
 * says that they were taken; but such a queue counts a consumer that was cancelled for as long as it holds messages.
 */
async function giveAllBack({ link, channel, queue, consumers, others }: Reading): Promise<void> {
  const cancelled = Promise.all(consumers.map((tag) => channel.basicCancel(tag)))
  await within(cancelled, `look into ${queue}`).catch(() => {})
  // Explicitly: that is what RabbitMQ 4.3 does not count.
  if (channel.active) channel.basicNack({ deliveryTag: 0, multiple: true, requeue: true })
  const deadline = performance.now() + settleWithinMs
  while (channel.active && performance.now() < deadline) {
    const state = await queueState(link, queue).catch(() => undefined)
    if (state === undefined || state.consumerCount <= others) return
    await pause(10, link.lost)
  }
}

async function* readAll(reading: Reading, signal: AbortSignal): AsyncGenerator<readonly Delivery[]> {
  const { link, channel, queue, consumers } = reading
  const bell = createDoorbell()
  const state = await queueState(link, queue)
  const count = state?.messageCount ?? 0
  reading.others = state?.consumerCount ?? 0
  let arrived: Delivery[] = []
  const onMessage = (delivery: unknown) => {
    arrived.push(delivery as Delivery)
    bell.ring()
  }
  await within(channel.basicQos({ prefetchCount: atOnce }), `look into ${queue}`)
  for (let taken = 0, room = 0; taken < count && !signal.aborted; ) {
    if (room === 0) {
      const { consumerTag } = await within(channel.basicConsume({ queue }, onMessage), `look into ${queue}`)
      consumers.push(consumerTag)
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
