import { createDoorbell } from '../doorbell.ts'
import type { ObserveOptions, Received, Selector } from '../transport.ts'
import { createWanted, type Wanted } from '../wanted.ts'
import type { Topic } from './topic.ts'

const batchSize = 500

interface Cursor {
  readonly topic: Topic
  /** The last position that was looked at. */
  position: bigint
  /** Where to stop when not following. */
  readonly end: bigint
}

export async function* observeMemory(
  topics: readonly Topic[],
  { patterns }: Selector,
  { from, follow, signal }: ObserveOptions,
): AsyncGenerator<readonly Received[]> {
  const wanted = createWanted(patterns)
  const cursors = topics.map((topic): Cursor => ({ topic, position: startOf(topic, from), end: topic.head }))
  const bell = createDoorbell()
  for (const topic of topics) topic.observers.add(bell)
  try {
    while (!signal.aborted) {
      const batch = cursors.flatMap((cursor) => readOn(cursor, wanted, follow))
      if (batch.length > 0) yield batch
      else if (!follow) return
      else await bell.wait(signal)
    }
  } finally {
    for (const topic of topics) topic.observers.delete(bell)
  }
}

function startOf(topic: Topic, from: ObserveOptions['from']): bigint {
  if (from === 'now') return topic.head
  if (from === 'start') return topic.oldest - 1n
  if ('position' in from) return BigInt(from.position) - 1n
  let position = topic.oldest
  while (position <= topic.head && (topic.at(position)?.timeMs ?? 0) < from.timeMs) position++
  return position - 1n
}

function readOn(cursor: Cursor, wanted: Wanted, follow: boolean): readonly Received[] {
  const { topic } = cursor
  const batch: Received[] = []
  const end = follow ? topic.head : cursor.end
  while (cursor.position < end && batch.length < batchSize) {
    const stored = topic.at(++cursor.position)
    if (stored === undefined || !wanted(stored.type)) continue
    batch.push({
      ...stored.message,
      topic: topic.name,
      at: String(stored.position),
      timeMs: stored.timeMs,
      deliveries: 1,
    })
  }
  return batch
}
