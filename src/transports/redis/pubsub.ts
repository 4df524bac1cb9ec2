import { EvtError } from '../../core/errors.ts'
import type { ObserveOptions, Received, Selector } from '../transport.ts'
import type { RedisContext } from './context.ts'

/** Pub/Sub channels and patterns: at most once. */
export async function* observeChannels(
  _context: RedisContext,
  _selector: Selector,
  _options: ObserveOptions,
): AsyncGenerator<readonly Received[]> {
  yield []
  throw new EvtError('unsupported', 'cannot observe Redis yet')
}
