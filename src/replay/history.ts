// Room replay: history to handlers and targets, and handlers tried on it without effect. Knows the store, how handlers run and the
// transport contract; may not know commands, bridges or a concrete transport.
import { fromHeaders } from '../core/codec.ts'
import type { HistoryEntry } from '../core/history.ts'
import { compilePatterns } from '../core/pattern.ts'
import { compileWhere } from '../core/where.ts'
import type { LogReader } from '../store/log.ts'
import type { ReplaySelection } from '../store/replays.ts'

export type Wants = (entry: HistoryEntry) => boolean

/** Throws `usage` for a pattern or an expression that is none. `handlers`: patterns of those that it is for. */
export function compileSelection(selection: ReplaySelection, handlers?: readonly string[]): Wants {
  const { types, subject, correlation, where: text, sinceMs = 0, untilMs = Number.POSITIVE_INFINITY, nowMs } = selection
  const pattern = types.length > 0 ? compilePatterns(types) : undefined
  const theirs = handlers && compilePatterns(handlers)
  const where = text === undefined ? undefined : compileWhere(text, { nowMs })
  return (entry) => {
    if (subject !== undefined && entry.subject !== subject) return false
    if (entry.recordedMs < sinceMs || entry.recordedMs > untilMs) return false
    if (pattern && !pattern.matches(entry.type)) return false
    if (theirs && !theirs.matches(entry.type)) return false
    if (correlation === undefined && !where) return true
    const event = eventOf(entry)
    if (event === undefined) return false
    if (correlation !== undefined && event.correlationId !== correlation && event.id !== correlation) return false
    return !where || where.test({ ...event, evt: { position: String(entry.position) } })
  }
}

/** Undefined where it cannot be read: an expression says nothing about it. */
function eventOf(entry: HistoryEntry) {
  try {
    return { ...fromHeaders(entry.headers, entry.dataText) }
  } catch {
    return undefined
  }
}

/** Positions of which retention has removed the events. */
export interface Gone {
  readonly events: number
  readonly from: bigint
  readonly to: bigint
}

export interface Scanned {
  readonly scanned: number
  readonly matched: number
  /** The last position that counts: of the last event that matched, when a limit ended it. */
  readonly upto: bigint
  readonly samples: readonly HistoryEntry[]
  readonly gone: Gone | undefined
  readonly limited: boolean
}

export interface ScanOptions {
  /** Positions after this … */
  readonly after: bigint
  /** … up to this. */
  readonly upto: bigint
  readonly wants: Wants
  readonly limit?: number | undefined
  readonly signal: AbortSignal
  readonly onScanned?: (scanned: number) => void
}

const pageSize = 1_000
const samplesKept = 3

/** Pages of the log in a span, each with the number of the positions before it that are gone. Ends when the signal aborts. */
export async function* pagesOf(
  reader: Pick<LogReader, 'read'>,
  { after, upto, signal }: Pick<ScanOptions, 'after' | 'upto' | 'signal'>,
): AsyncGenerator<readonly (HistoryEntry & Awaited<ReturnType<LogReader['read']>>[number])[]> {
  const pageAfter = (from: bigint) => {
    const left = upto - from
    return reader.read(from, left < BigInt(pageSize) ? Number(left) : pageSize)
  }
  let next = after < upto ? pageAfter(after) : undefined
  while (next && !signal.aborted) {
    const entries = await next
    const last = entries.at(-1)
    // While this page is worked on, the next one is on its way.
    next = last && last.position < upto ? pageAfter(last.position) : undefined
    next?.catch(() => {})
    const within = last && last.position > upto ? entries.filter(({ position }) => position <= upto) : entries
    if (within.length > 0) yield within
  }
}

/** Counts what a replay would take, exactly. */
export async function scanHistory(reader: Pick<LogReader, 'read'>, options: ScanOptions): Promise<Scanned> {
  const { after, upto, wants, limit = Number.POSITIVE_INFINITY, signal, onScanned } = options
  const samples: HistoryEntry[] = []
  let [scanned, matched, at] = [0, 0, after]
  let gone: Gone | undefined
  const passed = (to: bigint) => {
    if (to > at) gone = { events: (gone?.events ?? 0) + Number(to - at), from: gone?.from ?? at + 1n, to }
  }
  for await (const entries of pagesOf(reader, options)) {
    for (const entry of entries) {
      passed(entry.position - 1n)
      at = entry.position
      scanned += 1
      if (!wants(entry)) continue
      matched += 1
      if (samples.length < samplesKept) samples.push(entry)
      if (matched >= limit) return { scanned, matched, upto: at, samples, gone, limited: true }
    }
    onScanned?.(scanned)
  }
  if (!signal.aborted) passed(upto)
  return { scanned, matched, upto, samples, gone, limited: false }
}
