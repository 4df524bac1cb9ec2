import { EvtError } from '../../core/errors.ts'
import type { Lane, LaneOptions } from '../transport.ts'
import type { RedisContext } from './context.ts'
import type { Topic } from './topic.ts'

/** The one lane of a stream that is not ours, through a plain group. */
export async function* foreignLanes(
  _context: RedisContext,
  topic: Topic,
  _group: string,
  _options: LaneOptions,
): AsyncGenerator<Lane> {
  yield* []
  throw new EvtError('unsupported', `cannot read ${topic.name} in a group yet`)
}
