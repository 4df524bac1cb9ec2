import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import type { Tally } from './silence.ts'
import type { EventSource, SourceEvent } from './source.ts'

export interface PaceOptions {
  /** Events in one batch at most. */
  readonly max: number
  readonly signal: AbortSignal
  /** Counted up as they come. */
  readonly tally: Tally
}

/**
 * Batches of events when they are due; late ones come at once, in order, and none is left out. Ends with the source,
 * with its time, or when `signal` aborts. A batch may be empty where `--where` drops all of it.
 */
export async function* inTime(
  source: EventSource,
  { max, signal, tally }: PaceOptions,
): AsyncGenerator<readonly SourceEvent[]> {
  if (source.stage) {
    const { where } = source
    for await (const events of source.stage.batches({ max, signal, tally })) {
      const passed = where ? events.filter((event) => where.test(event)) : events
      tally.passed += passed.length - events.length
      yield passed
    }
    return
  }
  const { schedule, where, durationMs = Number.POSITIVE_INFINITY } = source
  const startedMs = performance.now()
  while (!signal.aborted) {
    const elapsedMs = performance.now() - startedMs
    if (!schedule && elapsedMs >= durationMs) return
    const size = schedule ? dueCount(schedule, { from: tally.taken, elapsedMs, max }) : max
    if (size === 0) {
      const dueMs = schedule?.at(tally.taken) ?? 0
      if (!(dueMs < durationMs)) return
      await delay(Math.max(1, dueMs - elapsedMs), undefined, { signal }).catch(() => {})
      continue
    }
    const events = await source.take(size)
    if (events.length === 0) return
    const passed = where ? events.filter((event) => where.test(event)) : events
    tally.taken += events.length
    tally.passed += passed.length
    yield passed
    // Signals and the reader of a pipe get their turn.
    await nextTurn()
  }
}

function dueCount(
  schedule: { at(k: number): number },
  { from, elapsedMs, max }: { from: number; elapsedMs: number; max: number },
): number {
  let size = 0
  while (size < max && schedule.at(from + size) <= elapsedMs) size++
  return size
}
