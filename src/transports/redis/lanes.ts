import type { Lane, LaneOptions } from '../transport.ts'
import type { RedisContext } from './context.ts'

export interface RedisLanes {
  lanes(topics: readonly string[], group: string, options: LaneOptions): AsyncGenerator<Lane>
  close(): Promise<void>
}

export function createLanes(_context: RedisContext): RedisLanes {
  return {
    async *lanes() {
      yield* []
    },
    close: async () => {},
  }
}
