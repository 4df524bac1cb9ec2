import { type Cluster, Redis } from 'ioredis'

/**
 * What is sent in this turn leaves in one write: commands to several lanes would each cost a system call here and a turn of the server,
 * with a write of its file. For small ones: with big ones the server begins while the next is made.
 */
export function sendTogether(client: Redis | Cluster): void {
  // The driver has none before it has connected.
  const stream = client instanceof Redis ? (client.stream as typeof client.stream | undefined) : undefined
  if (stream === undefined || stream.writableCorked > 0) return
  stream.cork()
  queueMicrotask(() => stream.uncork())
}
