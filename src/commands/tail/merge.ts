import { createDoorbell } from '../../transports/doorbell.ts'
import type { Seen, TailSource } from './source.ts'

export interface Feed {
  readonly source: TailSource
  readonly batches: AsyncIterable<readonly Seen[]>
}

export interface MergeOptions {
  readonly follow: boolean
  /** False: nothing was asked for that was there before, so all come as they come. */
  readonly hasHistory: boolean
  /** What was recorded from then on comes as it comes. */
  readonly startedMs: number
  readonly ending: AbortController
  readonly signal: AbortSignal
  /** How long one that has sent nothing yet, and one that has, may hold up the others' history. Default: 1,500 and 300 ms. */
  readonly patienceMs?: { readonly first: number; readonly later: number }
}

export interface Piece {
  readonly source: TailSource
  readonly events: readonly Seen[]
  /** No more of this source. */
  drop(): void
}

interface Open {
  readonly source: TailSource
  readonly iterator: AsyncIterator<readonly Seen[]>
  batch: readonly Seen[] | undefined
  at: number
  isDone: boolean
  error: unknown
  /** Past its history: its events are given as they come. */
  isLive: boolean
  pulledMs: number
  hasSent: boolean
}

/**
 * The events of several sources as one stream. History comes in the order of its recording, as far as each source keeps
 * that itself: one batch of each lies ready, and one that has nothing for a while holds nobody up; it is live from then on. What is
 * live comes as it comes. Ends when all have ended; throws when one fails, after it has ended the others through `ending`.
 */
export async function* merge(feeds: readonly Feed[], options: MergeOptions): AsyncGenerator<Piece> {
  const { ending, signal, hasHistory } = options
  const bell = createDoorbell()
  const open = feeds.map(({ source, batches }): Open => {
    const iterator = batches[Symbol.asyncIterator]()
    const rest = { batch: undefined, at: 0, isDone: false, error: undefined, pulledMs: 0, hasSent: false }
    return { source, iterator, ...rest, isLive: !hasHistory || feeds.length === 1 || source.isLive }
  })
  for (const feed of open) pull(feed, bell.ring)
  try {
    for (;;) {
      const failed = open.find(({ error }) => error !== undefined)
      if (failed) throw failed.error
      if (signal.aborted || open.every(({ isDone, batch }) => isDone && !batch)) return
      const pieces = nextPieces(open, options)
      if (pieces.length === 0) await bell.wait(signal, ...patience(open, options))
      for (const { feed, end } of pieces) {
        const { batch = [], at } = feed
        const events = at === 0 && end === batch.length ? batch : batch.slice(at, end)
        feed.at = end
        // Asked for while the reader works on this one.
        if (end === batch.length) pull(feed, bell.ring)
        yield { source: feed.source, events, drop: () => drop(feed) }
      }
    }
  } finally {
    ending.abort()
    await Promise.all(open.map(({ iterator }) => iterator.return?.()))
  }
}

function pull(feed: Open, ring: () => void): void {
  feed.batch = undefined
  feed.at = 0
  feed.pulledMs = performance.now()
  if (feed.isDone) return
  feed.iterator.next().then(
    ({ done, value }) => {
      if (feed.isDone) return
      if (done) feed.isDone = true
      else feed.batch = value
      feed.hasSent = true
      ring()
    },
    (error: unknown) => {
      if (feed.isDone) return
      feed.isDone = true
      feed.error = error
      ring()
    },
  )
}

function drop(feed: Open): void {
  feed.isDone = true
  feed.batch = undefined
}

function nextPieces(open: readonly Open[], options: MergeOptions): readonly { feed: Open; end: number }[] {
  const { startedMs, follow } = options
  for (const feed of open) {
    if (!feed.isLive && feed.batch && headMs(feed) >= startedMs) feed.isLive = true
    if (!feed.isLive && follow && !feed.batch && !feed.isDone && patienceLeft(feed, options) <= 0) feed.isLive = true
  }
  const live = open.filter(({ isLive, batch }) => isLive && batch)
  if (live.length > 0) return live.map((feed) => ({ feed, end: feed.batch?.length ?? 0 }))
  const past = open.filter(({ isLive, isDone, batch }) => !isLive && (batch || !isDone))
  if (past.length === 0 || past.some(({ batch }) => !batch)) return []
  const [first, ...others] = past.toSorted((a, b) => headMs(a) - headMs(b)) as [Open, ...Open[]]
  const untilMs = others.reduce((earliest, feed) => Math.min(earliest, headMs(feed)), Number.POSITIVE_INFINITY)
  const { batch = [] } = first
  let end = first.at + 1
  while (end < batch.length && (batch[end]?.recordedMs ?? 0) <= untilMs) end++
  return [{ feed: first, end }]
}

const headMs = ({ batch, at }: Open): number => batch?.[at]?.recordedMs ?? 0

const patienceLeft = ({ pulledMs, hasSent }: Open, { patienceMs = { first: 1_500, later: 300 } }: MergeOptions) =>
  pulledMs + (hasSent ? patienceMs.later : patienceMs.first) - performance.now()

/** Until the first of those that hold up the others has done so for long enough. */
function patience(open: readonly Open[], options: MergeOptions): readonly AbortSignal[] {
  if (!options.follow) return []
  const late = open.filter(({ isLive, isDone, batch }) => !isLive && !isDone && !batch)
  if (late.length === 0) return []
  const leftMs = Math.min(...late.map((feed) => patienceLeft(feed, options)))
  return [AbortSignal.timeout(Math.max(1, Math.ceil(leftMs)))]
}
