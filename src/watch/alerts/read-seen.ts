import type { EventPattern, EventTest } from '../../core/alerts/resolve-alerts.ts'
import type { TypedEvent, TypeReader, TypeReaderOptions } from '../../store/log-by-type.ts'

export interface SeenRange {
  readonly reader: Pick<TypeReader, 'read'>
  readonly from: bigint
  readonly to: bigint
  /** By `performance.now()`: the rest is for the next look. */
  readonly deadlineMs: number
  readonly signal: AbortSignal
}

export interface SeenSoFar {
  readonly position: bigint
  /** When the last event up to there was committed; undefined where nothing was read. */
  readonly lastMs: number | undefined
}

/** What has to be read of the log for these patterns. */
export function readingOf(patterns: readonly EventPattern[]): TypeReaderOptions {
  const tests = patterns.flatMap(testsOf)
  return {
    expression: [...new Set(tests.map(({ expression }) => expression))].join('|'),
    isWhole: tests.some(({ looksInside }) => looksInside),
  }
}

function testsOf(pattern: EventPattern): readonly EventTest[] {
  if (pattern.kind === 'count') return [pattern.of]
  return pattern.kind === 'sequence' ? pattern.steps : [pattern.after, pattern.of]
}

/** Hands over the events that the reader chooses, in their order. A page at least, so that a slow server gets on as well. */
export async function readSeen(range: SeenRange, see: (seen: TypedEvent) => void): Promise<SeenSoFar> {
  let [position, lastMs] = [range.from, undefined as number | undefined]
  while (position < range.to && !range.signal.aborted) {
    const page = await range.reader.read(position, range.to)
    for (const event of page.events) see(event)
    position = page.reached
    lastMs = page.reachedMs ?? lastMs
    if (performance.now() >= range.deadlineMs) break
  }
  return { position, lastMs }
}
