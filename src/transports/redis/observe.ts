import { EvtError } from '../../core/errors.ts'
import type { ObserveOptions, Received, Selector } from '../transport.ts'
import type { RedisContext } from './context.ts'

/** Streams, ours and foreign, by XRANGE and XREAD without a group. */
export async function* observeStreams(
  _context: RedisContext,
  _selector: Selector,
  _options: ObserveOptions,
): AsyncGenerator<readonly Received[]> {
  yield []
  throw new EvtError('unsupported', 'cannot observe Redis yet')
}
