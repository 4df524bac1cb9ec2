import type { Instant } from '../../core/instant.ts'
import type { Seen, Span, TailSource } from './source.ts'

export interface Ending {
  /** By the wall clock, ms since the epoch. */
  readonly untilMs: number
  readonly startedMs: number
  now(): number
  /** What it cannot promise. */
  warn(message: string): void
}

/** Partitions and shards give what was recorded at one time at different ones: so far back is looked again. */
const slackMs = 5_000
/** About 30 MB; events that come faster than this in the slack are not all remembered. */
const mostRemembered = 200_000
const longestTimerMs = 2 ** 31 - 1

/**
 * Follows a source up to a time to come. What was recorded in the last seconds before it and has not come by then is read from the source's
 * history, and nothing comes twice. What keeps no history ends with what has come. Where so much came that not all of those seconds is known
 * any more, it says so.
 */
export async function* readUntil(source: TailSource, span: Span, ending: Ending): AsyncGenerator<readonly Seen[]> {
  const over = new AbortController()
  const disarm = callAt(ending, () => over.abort())
  const memory = createMemory()
  try {
    const signal = AbortSignal.any([span.signal, over.signal])
    for await (const batch of source.read({ ...span, signal })) {
      memory.add(batch)
      yield batch
    }
  } finally {
    disarm()
  }
  if (span.signal.aborted || !over.signal.aborted || source.isLive || !source.seeks.includes('time')) return
  if (!memory.reaches())
    ending.warn(
      `${source.name}: more came than is remembered; of the last ${slackMs / 1000} s, what was late may be missing: tail it again with --since`,
    )
  const from = memory.from() ?? (span.from === 'now' ? { timeMs: ending.startedMs } : span.from)
  for await (const batch of source.read({ ...span, from, follow: false, onReady() {} })) {
    const fresh = batch.filter((seen) => !memory.has(seen))
    if (fresh.length > 0) yield fresh
  }
}

function callAt({ untilMs, now }: Ending, callback: () => void): () => void {
  let timer: NodeJS.Timeout
  const arm = () => {
    const leftMs = untilMs - now()
    if (leftMs <= 0) callback()
    else timer = setTimeout(arm, Math.min(leftMs, longestTimerMs))
  }
  timer = setTimeout(arm, 0)
  return () => clearTimeout(timer)
}

const keyOf = ({ event, evt }: Seen) => `${evt.topic}\n${evt.position ?? ''}\n${event.id}`

/** The keys of the last events that were shown, and from when on all of them are known. */
function createMemory() {
  const chunks: { readonly keys: readonly string[]; readonly newestMs: number }[] = []
  let size = 0
  /** All that came after these are remembered. */
  let forgottenMs = Number.NEGATIVE_INFINITY
  let lastMs = Number.NEGATIVE_INFINITY
  let known: ReadonlySet<string> | undefined
  const isOld = (chunk: { readonly newestMs: number } | undefined) =>
    chunk !== undefined && (chunk.newestMs < lastMs - slackMs || size > mostRemembered)
  return {
    add(batch: readonly Seen[]) {
      const newestMs = batch.reduce((newest, { recordedMs }) => Math.max(newest, recordedMs), forgottenMs)
      chunks.push({ keys: batch.map(keyOf), newestMs })
      size += batch.length
      lastMs = Math.max(lastMs, newestMs)
      while (chunks.length > 1 && isOld(chunks[0])) {
        const first = chunks.shift()
        size -= first?.keys.length ?? 0
        forgottenMs = Math.max(forgottenMs, first?.newestMs ?? forgottenMs)
      }
    },
    reaches: () => forgottenMs < lastMs - slackMs || lastMs === Number.NEGATIVE_INFINITY,
    /** Undefined when nothing came. */
    from: (): Instant | undefined =>
      lastMs === Number.NEGATIVE_INFINITY ? undefined : { timeMs: Math.max(forgottenMs + 1, lastMs - slackMs) },
    has(seen: Seen): boolean {
      known ??= new Set(chunks.flatMap(({ keys }) => keys))
      return known.has(keyOf(seen))
    },
  }
}
