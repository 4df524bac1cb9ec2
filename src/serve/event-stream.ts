import { EvtError } from '../core/errors.ts'
import type { LogEntry } from '../store/log.ts'
import { eventText } from './event-text.ts'
import type { EventPorts, HttpPorts } from './ports.ts'
import { HttpProblem } from './problem.ts'
import type { SharedPages } from './shared-pages.ts'
import type { StreamQuery } from './stream-query.ts'
import type { Access } from './token-cache.ts'

export interface EventStreamOptions extends StreamQuery {
  readonly access: Access
  readonly pages: SharedPages
  readonly log: Pick<EventPorts['log'], 'beyond'>
  readonly masker: HttpPorts['masker']
  readonly heartbeatMs: number
  /** The stream ends; with an EvtError or HttpProblem as reason, the reader is told why. */
  readonly signal: AbortSignal
}

/** What is read ahead of a reader: events of one page, fewer when they are large. */
const mostOfPage = 500
const bytesOfPage = 1024 * 1024
const textOfChunk = 64 * 1024
/** After which a reader asks again. */
const retryMs = 2_000

/**
 * Server-sent events: each event of the log after `after` that is asked for, once, in its order; `id` is its position. Where retention
 * has removed some, an event `gap` says which. A sign of life carries the position up to which there was nothing to show, so that a
 * reader of rare events begins there again. Pulls the next page when the last one was taken.
 */
export async function* eventStream(options: EventStreamOptions): AsyncGenerator<string> {
  const { pages, signal, heartbeatMs } = options
  let at = options.after
  let told = at
  let saidMs = performance.now()
  let max = options.first.length
  let entries: readonly LogEntry[] = options.first
  yield `retry: ${retryMs}\nid: ${at}\n\n`
  while (!signal.aborted) {
    let size = 0
    let text = ''
    for (const entry of entries) {
      const { position } = entry
      if (position > at + 1n) text += gap(at + 1n, position - 1n)
      at = position
      size += entry.dataText.length
      const line = isWanted(entry, options) ? eventText(entry, options, options.masker) : undefined
      if (line !== undefined) text += `id: ${position}\ndata: ${line}\n\n`
      if (line !== undefined) told = position
      if (text.length < textOfChunk) continue
      yield text
      text = ''
      saidMs = performance.now()
      if (signal.aborted) break
    }
    if (text === '' && performance.now() - saidMs >= heartbeatMs) {
      text = told === at ? ': still here\n\n' : `id: ${at}\n\n`
      told = at
    }
    if (text !== '') {
      yield text
      saidMs = performance.now()
    }
    if (signal.aborted) break
    if (entries.length === 0) await untilMore(options, at)
    max = nextMax(max, entries.length, size)
    entries = await pages.read(at, max)
  }
  yield `retry: ${retryMs}\nevent: end\ndata: ${JSON.stringify({ reason: reasonOf(signal) })}\n\n`
}

/** At the latest when it is time for a sign of life. */
async function untilMore({ log, signal, heartbeatMs }: EventStreamOptions, at: bigint): Promise<void> {
  const silent = new AbortController()
  const timer = setTimeout(() => silent.abort(), heartbeatMs)
  await log.beyond(at, AbortSignal.any([signal, silent.signal])).finally(() => clearTimeout(timer))
}

const isWanted = ({ headers, type }: LogEntry, { pattern, access }: EventStreamOptions): boolean =>
  headers['ce-type'] !== undefined && pattern.matches(type) && access.mayType(type)

const gap = (from: bigint, to: bigint) =>
  `event: gap\nid: ${to}\ndata: ${JSON.stringify({ from: String(from), to: String(to), reason: 'retention' })}\n\n`

/** So many of the size that they have had lately. */
function nextMax(max: number, count: number, size: number): number {
  if (count === 0) return mostOfPage
  const fitting = Math.floor((bytesOfPage * count) / Math.max(1, size))
  return Math.max(1, Math.min(mostOfPage, fitting, 2 * Math.max(max, 50)))
}

const reasonOf = ({ reason }: AbortSignal): string =>
  reason instanceof EvtError || reason instanceof HttpProblem ? reason.message : 'this bridge stops; ask again'
