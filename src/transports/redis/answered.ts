import type { Redis } from 'ioredis'

/** Over what a blocking command was told to wait. */
const graceMs = 3_000

/**
 * The answer of a blocking command; fails when its connection closes or owes it for too long, and is then made anew. Drivers are known to
 * leave a blocked command without any answer after a reconnection (BullMQ#4479).
 */
export async function answered<T>(redis: Redis, blockMs: number, command: () => Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const onClose = () => reject(new Error('Connection is closed.'))
  const timer = setTimeout(() => redis.disconnect(true), blockMs + graceMs)
  redis.once('close', onClose)
  try {
    return await Promise.race([command(), promise])
  } finally {
    clearTimeout(timer)
    redis.off('close', onClose)
  }
}
