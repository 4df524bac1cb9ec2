import { type Link, pause, unlessMissing, withChannel, within } from './connect.ts'
import { codeOf, isDown } from './errors.ts'

/** RabbitMQ takes connections before it has started all its queues. */
const startWithinMs = 8_000

export interface QueueState {
  /** Ready; what consumers hold is not counted. */
  readonly messageCount: number
  readonly consumerCount: number
}

/** Depth and consumers, without a trace; undefined where there is none. Waits for a queue that is starting. */
export async function queueState(link: Link, queue: string): Promise<QueueState | undefined> {
  const deadline = performance.now() + startWithinMs
  for (;;) {
    try {
      return await unlessMissing(
        withChannel(link, (channel) =>
          within(channel.queueDeclare({ queue, passive: true }), `look for queue ${queue}`),
        ),
      )
    } catch (error) {
      // Somebody has it for himself: it is there.
      if (codeOf((error as Error).cause) === 'RESOURCE_LOCKED') return { messageCount: 0, consumerCount: 1 }
      if (!isDown(error) || performance.now() > deadline) throw error
      await pause(100, link.lost)
    }
  }
}
