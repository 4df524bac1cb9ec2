import { typeIn } from '../../core/codec.ts'
import { EvtError } from '../../core/errors.ts'
import type { ObserveOptions, Received, Selector } from '../transport.ts'
import { createWanted } from '../wanted.ts'
import type { RedisContext } from './context.ts'
import type { Found } from './history.ts'
import { openLive } from './live.ts'
import { toReceived } from './received.ts'
import { createWatched } from './watched.ts'

/**
 * Streams, ours and others', by XRANGE and XREAD without a group. What was there when it began comes in the order of the server's times
 * over all streams, what comes later as it is found. A stream that appears later is shown from its start. Throws `usage` for a named
 * key that is no stream; goes on over outages for as long as it follows.
 */
export async function* observeStreams(
  context: RedisContext,
  selector: Selector,
  options: ObserveOptions,
): AsyncGenerator<readonly Received[]> {
  const names = selector.topics.length > 0 ? selector.topics : context.options.streams
  if (names.length === 0) {
    throw new EvtError('usage', `cannot observe ${context.options.place.url}: it names no stream`, {
      hint: 'add ?stream=user.events to the URL; globs work: ?stream=user.*',
    })
  }
  const { signal } = options
  const watched = createWatched(context, names, options)
  const toBatch = createReading(selector.patterns)
  await watched.open()
  for await (const found of watched.readHistory()) {
    const batch = toBatch(found)
    if (batch.length > 0) yield batch
  }
  if (!options.follow) return
  const live = openLive(context, signal)
  try {
    while (!signal.aborted) {
      watched.lookAgain()
      const batch = toBatch(await watched.survive(() => live.read(watched.readable())))
      if (batch.length > 0) yield batch
    }
  } finally {
    live.close()
  }
}

/** What has no `ce-type` is shown: whoever knows its dialect knows its type. */
function createReading(patterns: readonly string[]): (found: readonly Found[]) => readonly Received[] {
  const wanted = createWanted(patterns)
  return (found) =>
    found
      .map(({ cursor, entry }) => toReceived(cursor.topic, cursor.stream, entry, 1))
      .filter(({ headers }) => headers['ce-type'] === undefined || wanted(typeIn(headers)))
}
