// What other programs do on the same server: through the bare client, with nothing of evt.
import { type Channel, Connection } from 'rabbitmq-client'
import { onTestFinished } from 'vitest'

/** A channel of somebody else, with confirms; closed after the test. */
export async function foreignChannel(url: string): Promise<Channel> {
  const connection = new Connection({ url, retryLow: 60_000, retryHigh: 60_000 })
  connection.on('error', () => {})
  onTestFinished(() => connection.unsafeDestroy())
  const channel = await connection.acquire()
  await channel.confirmSelect()
  return channel
}

/** Ready messages; undefined where there is no such queue. */
export async function depthOf(url: string, queue: string): Promise<number | undefined> {
  const channel = await foreignChannel(url)
  return channel.queueDeclare({ queue, passive: true }).then(
    ({ messageCount }) => messageCount,
    () => undefined,
  )
}
