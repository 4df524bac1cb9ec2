import type { DeadLetterTopics } from '../transport.ts'
import type { RedisContext } from './context.ts'

export function createDeadLetters(_context: RedisContext): DeadLetterTopics | undefined {
  return undefined
}
