// What must be known of a topic and AMQP cannot tell: how many lanes it has, which groups. It is the last message of a stream queue, `<topic>/about`:
// any number of processes read it without a trace. Who changes it holds a lock: the exclusive consumer of a queue, which ends with its channel.
import type { Channel } from 'rabbitmq-client'
import { EvtError } from '../../core/errors.ts'
import { closeChannel, type Link, pause, within } from './connect.ts'
import { codeOf, isMissing } from './errors.ts'
import { queueState } from './queue-state.ts'
import { lastInStream } from './stream.ts'

export interface About {
  /** Undefined where the exchange or queue is not evt's. */
  readonly lanes?: number
  readonly groups: Readonly<Record<string, GroupRecord>>
}

export interface GroupRecord {
  /**
   * The most that a member ever fetched ahead, and what all of them do: quorum queues put what is given back behind what was given back before,
   * so a member that fetches less than its predecessor would break the order when it ends early.
   */
  readonly prefetch: number
}

export const aboutQueueOf = (topic: string): string => `${topic}/about`
const lockWithinMs = 10_000

/** undefined where nothing was ever written. Throws `timeout` when the server does not send it. */
export async function readAbout(link: Link, topic: string): Promise<About | undefined> {
  const queue = aboutQueueOf(topic)
  if ((await queueState(link, queue)) === undefined) return undefined
  const last = await lastInStream(link, queue)
  if (last !== undefined) return parseAbout(last.body, queue)
  // Not the same as nothing: who took it for that would forget how many lanes there are.
  throw new EvtError('timeout', `cannot read ${queue}: RabbitMQ sends nothing of it`, {
    hint: `after a restart it takes a moment; if it is empty since somebody made or purged it: rabbitmqctl delete_queue ${queue}`,
  })
}

function parseAbout(body: Buffer, queue: string): About {
  try {
    const about = JSON.parse(body.toString()) as About
    if (typeof about.groups === 'object' && about.groups !== null) return about
  } catch {
    // Said below.
  }
  throw new EvtError('conflict', `cannot use ${queue}: its last message is not evt's`, {
    hint: 'something else publishes to it; evt keeps there how many lanes a topic has',
  })
}

/** Changes what is known of a topic, alone: `change` is called with what it is now, over a connection that holds the lock. */
export async function changeAbout(
  link: Link,
  topic: string,
  change: (about: About | undefined, channel: Channel) => Promise<About | undefined>,
): Promise<void> {
  const holder = await lock(link, `${aboutQueueOf(topic)}/lock`)
  const channel = await link.channel()
  try {
    await within(channel.confirmSelect(), `change ${aboutQueueOf(topic)}`)
    const changed = await change(await readAbout(link, topic), channel)
    if (changed === undefined) return
    const queue = aboutQueueOf(topic)
    await within(
      channel.queueDeclare({ queue, durable: true, arguments: { 'x-queue-type': 'stream' } }),
      `declare ${queue}`,
    )
    const body = Buffer.from(JSON.stringify(changed))
    const envelope = { routingKey: queue, durable: true, contentType: 'application/json' }
    await within(channel.basicPublish(envelope, body), `write to ${queue}`)
  } finally {
    await closeChannel(channel)
    await closeChannel(holder)
  }
}

/** Waits for its turn, bounded. Free when the channel is closed, whose connection may go on. */
export async function lock(link: Link, queue: string): Promise<Channel> {
  const deadline = performance.now() + lockWithinMs
  for (;;) {
    const channel = await link.channel()
    try {
      // An exclusive queue would belong to the connection, and two of one process must exclude each other too.
      await within(
        channel.queueDeclare({ queue, durable: true, autoDelete: true, arguments: { 'x-expires': 60_000 } }),
        `lock ${queue}`,
      )
      await within(
        channel.basicConsume({ queue, exclusive: true }, () => {}),
        `lock ${queue}`,
      )
      return channel
    } catch (error) {
      await closeChannel(channel)
      const cause = error instanceof EvtError ? error.cause : error
      const isTaken = ['ACCESS_REFUSED', 'RESOURCE_LOCKED'].includes(codeOf(cause)) && /exclusive/.test(String(cause))
      // Deleted by its last holder between declaring and consuming.
      if (!isTaken && !isMissing(error)) throw error
      if (performance.now() > deadline) {
        throw new EvtError('refused', `cannot lock ${queue}: another process holds it for ${lockWithinMs / 1_000} s`, {
          hint: `\`rabbitmqctl list_consumers\` shows which connection consumes ${queue}`,
        })
      }
      await pause(50 + Math.random() * 100, link.lost)
    }
  }
}
