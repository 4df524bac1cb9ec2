import { setTimeout as delay } from 'node:timers/promises'
import type { RedisContext } from './context.ts'
import type { Topic } from './topic.ts'

const everyMs = 500

/**
 * Resolves with the topic when somebody else has made it ours after it was asked for here, as the sink of a bridge does that started
 * later: its lanes lie beside the stream of its name. Undefined when its only lane is that stream, and when the signal ends the wait.
 */
export async function untilOurs(
  { topics }: RedisContext,
  name: string,
  signal: AbortSignal,
): Promise<Topic | undefined> {
  while (!signal.aborted) {
    // A server that is away is said by who reads.
    const topic = await topics.find(name).catch(() => undefined)
    if (topic?.ours) return topic.streams.length > 1 ? topic : undefined
    await delay(everyMs, undefined, { signal, ref: false }).catch(() => {})
  }
  return undefined
}
