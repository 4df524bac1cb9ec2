import type { Inspection } from '../transport.ts'
import type { RedisContext } from './context.ts'

export async function inspectRedis(_context: RedisContext, _topics: readonly string[]): Promise<Inspection> {
  return { topics: [], groups: [] }
}
