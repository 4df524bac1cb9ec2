import type { EventPattern, EventTest } from '../../core/alerts/resolve-alerts.ts'
import { fromHeaders } from '../../core/codec/headers.ts'
import type { LogEntry, LogReader } from '../../store/log.ts'
import type { SeenEvent } from './event-patterns.ts'

export interface SeenRange {
  readonly reader: Pick<LogReader, 'read'>
  readonly patterns: readonly EventPattern[]
  readonly from: bigint
  readonly to: bigint
  readonly signal: AbortSignal
}

const page = 1_000
/** Events of one look; the rest is for the next one. */
const mostPages = 50

/** Hands over the events that a pattern can match, in their order; returns the position that it has reached. */
export async function readSeen(range: SeenRange, see: (seen: SeenEvent) => void): Promise<bigint> {
  const tests = range.patterns.flatMap(testsOf)
  let at = range.from
  for (let pages = 0; pages < mostPages && at < range.to && !range.signal.aborted; pages++) {
    const entries = await range.reader.read(at, page)
    const last = entries.at(-1)
    // What retention has removed is nobody's business any more.
    if (!last) return range.to
    for (const entry of entries) if (tests.some((test) => test.hasType(entry.type))) seeEntry(entry, see)
    at = last.position
  }
  return at
}

function testsOf(pattern: EventPattern): readonly EventTest[] {
  if (pattern.kind === 'count') return [pattern.of]
  return pattern.kind === 'sequence' ? pattern.steps : [pattern.after, pattern.of]
}

function seeEntry(entry: LogEntry, see: (seen: SeenEvent) => void): void {
  try {
    see({ event: fromHeaders(entry.headers, Buffer.from(entry.dataText), { verify: false }), atMs: entry.recordedMs })
  } catch {
    // What cannot be decoded matches nothing; handlers make a dead letter of it.
  }
}
