import type { Message, Published } from '../transport.ts'
import type { RedisContext } from './context.ts'

export type Publisher = (topic: string, batch: readonly Message[], signal: AbortSignal) => Promise<readonly Published[]>

export function createPublisher(_context: RedisContext): Publisher {
  return async () => []
}
