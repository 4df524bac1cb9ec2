import { type Link, withChannel, within } from './connect.ts'
import { isFinal, parseInequivalence } from './errors.ts'
import { queueState } from './queue-state.ts'

export const deadLetterQueueOf = (topic: string): string => `${topic}.dlq`

/**
 * A classic queue, durable: it has no delivery limit, not even by a policy, and gives back what was looked at to its old place. A quorum queue before
 * RabbitMQ 4.3 counts looking as a failed delivery. A policy that limits its length makes it refuse, and never drop, dead letters.
 */
export async function declareDeadLetterQueue(link: Link, queue: string): Promise<void> {
  // One of the name may be somebody's quorum queue, and is as good for writing.
  if ((await queueState(link, queue)) !== undefined) return
  const options = {
    queue,
    durable: true,
    arguments: { 'x-queue-type': 'classic', 'x-overflow': 'reject-publish' },
  } as const
  await withChannel(link, (channel) => within(channel.queueDeclare(options), `declare queue ${queue}`))
}

/** What was found before is the first guess of the next look: one question that is checked, and no errors in the server's log. */
const found = new WeakMap<Link, Map<string, Readonly<Record<string, unknown>>>>()

/**
 * The arguments that a queue was declared with. AMQP has no question for them: it is declared as it might be, and the server names one argument
 * that differs, until none does. Nothing is changed by it. undefined where the queue is missing.
 */
export async function argumentsOf(link: Link, queue: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  const remembered = found.get(link) ?? new Map<string, Readonly<Record<string, unknown>>>()
  found.set(link, remembered)
  const guess: Record<string, unknown> = { ...remembered.get(queue) }
  const flags: { durable: boolean; autoDelete: boolean } = { durable: true, autoDelete: false }
  for (let tries = 0; tries < 24; tries++) {
    if ((await queueState(link, queue)) === undefined) return undefined
    try {
      await withChannel(link, (channel) =>
        within(channel.queueDeclare({ queue, ...flags, arguments: guess }), `look at queue ${queue}`),
      )
      remembered.set(queue, guess)
      return guess
    } catch (error) {
      const differs = parseInequivalence(String((error as Error).cause))
      if (differs === undefined) throw error
      const { argument, current, type } = differs
      if (argument === 'durable' || argument === 'auto_delete') {
        flags[argument === 'durable' ? 'durable' : 'autoDelete'] = current === 'true'
      } else if (current === undefined) delete guess[argument]
      else guess[argument] = parseValue(current, type)
    }
  }
  return guess
}

/** False too for who may not ask. */
export async function isStreamQueue(link: Link, queue: string): Promise<boolean> {
  try {
    return (await argumentsOf(link, queue))?.['x-queue-type'] === 'stream'
  } catch (error) {
    if (isFinal(error)) return false
    throw error
  }
}

function parseValue(text: string, type: string | undefined): unknown {
  if (type === 'bool') return text === 'true'
  return type === 'longstr' || !/^-?\d+$/.test(text) ? text : Number(text)
}
