import type { RedisContext } from './context.ts'

export async function footprintOf(
  _context: RedisContext,
  _topics: readonly string[],
): Promise<Readonly<Record<string, string>>> {
  return {}
}
