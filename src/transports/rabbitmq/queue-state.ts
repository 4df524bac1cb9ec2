import { type Link, unlessMissing, withChannel, within } from './connect.ts'
import { codeOf } from './errors.ts'

/** Depth and consumers, without a trace; undefined where there is none. */
export async function queueState(link: Link, queue: string) {
  try {
    return await unlessMissing(
      withChannel(link, (channel) => within(channel.queueDeclare({ queue, passive: true }), `look for queue ${queue}`)),
    )
  } catch (error) {
    // Somebody has it for himself: it is there.
    if (codeOf((error as Error).cause) === 'RESOURCE_LOCKED') return { queue, messageCount: 0, consumerCount: 1 }
    throw error
  }
}
