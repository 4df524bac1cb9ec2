import type { Instant } from '../../core/instant.ts'
import type { Seen, Span, TailSource } from './source.ts'

export interface Ending {
  /** By the wall clock, ms since the epoch. */
  readonly untilMs: number
  readonly startedMs: number
  now(): number
}

/** Partitions and shards give what was recorded at one time at different ones: so far back is looked again. */
const slackMs = 5_000
const mostRemembered = 10_000
const longestTimerMs = 2 ** 31 - 1

/**
 * Follows a source up to a time to come. What was recorded before it and has not come by then is read from the source's history: nothing of
 * it is missed, and nothing comes twice. What keeps no history ends with what has come.
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

/** The last events that were shown, and from when on all of them are known. */
function createMemory() {
  let batches: (readonly Seen[])[] = []
  let size = 0
  /** All that came after these are remembered. */
  let forgottenMs = Number.NEGATIVE_INFINITY
  let lastMs: number | undefined
  let keys: ReadonlySet<string> | undefined
  return {
    add(batch: readonly Seen[]) {
      batches.push(batch)
      size += batch.length
      for (const { recordedMs } of batch) lastMs = Math.max(lastMs ?? recordedMs, recordedMs)
      if (size < 2 * mostRemembered) return
      while (size - (batches[0]?.length ?? 0) > mostRemembered) {
        const [first = []] = batches.splice(0, 1)
        size -= first.length
        for (const { recordedMs } of first) forgottenMs = Math.max(forgottenMs, recordedMs)
      }
    },
    /** Undefined when nothing came. */
    from: (): Instant | undefined =>
      lastMs === undefined ? undefined : { timeMs: Math.max(forgottenMs + 1, lastMs - slackMs) },
    has(seen: Seen): boolean {
      keys ??= new Set(batches.flat().map(keyOf))
      batches = []
      return keys.has(keyOf(seen))
    },
  }
}
