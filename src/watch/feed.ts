import { setTimeout as wait } from 'node:timers/promises'
import { toError } from '../core/errors.ts'
import type { Store } from '../store/connection.ts'
import type { StoredEvent } from '../store/event-row.ts'
import { observeOutbox } from '../store/observe.ts'
import { readSnapshot } from './read-snapshot.ts'
import type { Snapshot } from './snapshot.ts'

/** One committed event, as little of it as a list shows. */
export interface FeedLine {
  readonly id: string
  readonly timeMs: number
  readonly type: string
  readonly subject: string
  readonly position: string
  readonly data: string
}

export interface FeedOptions {
  readonly store: Store
  /** What is to be shown of the JSON of an event's data; default all of it. */
  readonly mask?: (event: { readonly type: string; readonly version: number }, dataText: string) => string
  readonly onSnapshot: (snapshot: Snapshot) => void
  /** `skipped` events came too fast to be of use to a person, and are not in `lines`. */
  readonly onEvents: (lines: readonly FeedLine[], skipped: number) => void
  /** What could not be read; the feed goes on trying. */
  readonly onTrouble: (message: string) => void
  /** A store that is silent for longer is in trouble; default 5,000 ms. */
  readonly answerWithinMs?: number
}

const snapshotEveryMs = 1000
/** More of one batch no person reads. */
const linesOfBatch = 100
const dataCharacters = 2000

/** Reads snapshots and new events until the returned function is called. Survives a store that goes away and comes back. */
export function startFeed(options: FeedOptions): () => void {
  const ending = new AbortController()
  const { signal } = ending
  const again = async (work: () => Promise<void>) => {
    while (!signal.aborted) {
      await work().catch((error: unknown) => signal.aborted || options.onTrouble(toError(error).message))
      await wait(snapshotEveryMs, undefined, { signal }).catch(() => {})
    }
  }
  void again(async () => options.onSnapshot(await noticed(readSnapshot(options.store), options, signal)))
  void again(() => follow(options, signal))
  return () => ending.abort()
}

/**
 * Says so while no answer comes: a network that swallows packets is no error for many minutes. Asks nothing a second time
 * meanwhile, which would take one connection after the other.
 */
async function noticed<T>(answer: Promise<T>, options: FeedOptions, signal: AbortSignal): Promise<T> {
  const withinMs = options.answerWithinMs ?? 5000
  const askedAt = performance.now()
  const silence = setInterval(() => {
    const seconds = Math.round((performance.now() - askedAt) / 1000)
    if (!signal.aborted) options.onTrouble(`no answer from ${options.store.url} for ${seconds}s`)
  }, withinMs)
  try {
    return await answer
  } finally {
    clearInterval(silence)
  }
}

async function follow(
  { store, onEvents, mask = (_, dataText) => dataText }: FeedOptions,
  signal: AbortSignal,
): Promise<void> {
  for await (const batch of observeOutbox(store, { from: 'now', follow: true, signal })) {
    const shown = batch.slice(-linesOfBatch)
    onEvents(
      shown.map((entry) => ({
        id: entry.id,
        timeMs: entry.recordedMs,
        type: entry.type,
        subject: entry.subject ?? '',
        position: String(entry.position ?? ''),
        data: mask(versionedOf(entry), entry.dataText).slice(0, dataCharacters),
      })),
      batch.length - shown.length,
    )
  }
}

const versionedOf = ({ type, headers }: Pick<StoredEvent, 'type' | 'headers'>) => ({
  type,
  version: Number(headers['ce-evtversion'] ?? 1),
})
