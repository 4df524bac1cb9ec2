import { setTimeout as delay } from 'node:timers/promises'
import type { Store } from './connection.ts'
import type { StoredEvent } from './event-row.ts'
import { createKeepAsking, type Outage } from './keep-asking.ts'
import { createLogReader, type LogReader } from './log.ts'
import { openUnsequencedReader } from './observe-cursor.ts'

/** From a time or a position on, both included. */
export type ObserveFrom = 'now' | 'start' | { readonly timeMs: number } | { readonly position: bigint }

export interface ObserveOutboxOptions extends Outage {
  readonly from: ObserveFrom
  /** False: ends when everything that was committed at the start has been given. */
  readonly follow: boolean
  readonly signal: AbortSignal
  /** Most events of one batch; default 500. */
  readonly batch?: number
  /** Longest time between two looks; default 25 ms. */
  readonly everyMs?: number
  /** Called once, when everything that is committed from then on will be given. */
  readonly onReady?: () => void
}

/** With its position when it was already sequenced when it was read, else with its place in the outbox. */
export interface ObservedEvent extends StoredEvent {
  readonly position?: bigint
  readonly sequencedMs?: number
  readonly seq?: string
}

/**
 * Committed events, each once, in the order of the log as far as it goes and by snapshots of its own beyond it. Needs no
 * bridge, writes nothing and takes no transaction number. On a standby it reads the sequenced log alone. Ends without an
 * error when the signal aborts. When the server goes away it throws `connect`; with `onLost`, once it is ready, it goes on
 * where it was as soon as the server is back.
 */
export async function* observeOutbox(
  store: Store,
  options: ObserveOutboxOptions,
): AsyncGenerator<readonly ObservedEvent[]> {
  const log = createLogReader(store)
  try {
    const { rows } = await store.query('select pg_is_in_recovery() as standby')
    const standby = (rows[0] as { standby: boolean }).standby
    yield* standby ? observeLog(log, options) : observePrimary(store, log, options)
  } finally {
    await log.close()
  }
}

async function* observePrimary(
  store: Store,
  log: LogReader,
  options: ObserveOutboxOptions,
): AsyncGenerator<readonly ObservedEvent[]> {
  const { signal } = options
  const batch = options.batch ?? 500
  const keepAsking = createKeepAsking(options, signal)
  const next = () => keepAsking(() => cursor.next(batch), [])
  const cursor = await openUnsequencedReader(store, options.from === 'now' ? 'now' : 'cursor')
  options.onReady?.()
  try {
    if (options.from !== 'now') {
      const start = await startOf(log, options.from)
      yield* upTo(log, start, cursor.head, { ...options, batch })
    }
    const sinceMs = sinceOf(options.from)
    do {
      await keepAsking(() => cursor.advance(), undefined)
      for (let events = await next(); events.length > 0; events = await next()) {
        if (signal.aborted) return
        const wanted = sinceMs === undefined ? events : events.filter((event) => event.recordedMs >= sinceMs)
        if (wanted.length > 0) yield wanted
      }
      if (options.follow) await delay(options.everyMs ?? 25, undefined, { signal }).catch(() => {})
    } while (options.follow && !signal.aborted)
  } finally {
    await cursor.close()
  }
}

async function* observeLog(log: LogReader, options: ObserveOutboxOptions): AsyncGenerator<readonly ObservedEvent[]> {
  const batch = options.batch ?? 500
  const keepAsking = createKeepAsking(options, options.signal)
  const head = await log.head()
  options.onReady?.()
  const start = options.from === 'now' ? head : await startOf(log, options.from)
  yield* upTo(log, start, head, { ...options, batch })
  for (let at = head; options.follow && !options.signal.aborted; ) {
    await log.beyond(at, options.signal)
    const entries = await keepAsking(() => log.read(at, batch), [])
    at = entries.at(-1)?.position ?? at
    if (entries.length > 0) yield entries
  }
}

async function* upTo(
  log: LogReader,
  start: bigint,
  head: bigint,
  options: ObserveOutboxOptions & { readonly batch: number },
): AsyncGenerator<readonly ObservedEvent[]> {
  const { signal, batch, from } = options
  const keepAsking = createKeepAsking(options, signal)
  const sinceMs = sinceOf(from)
  for (let at = start; at < head && !signal.aborted; ) {
    const left = head - at
    const max = left < BigInt(batch) ? Number(left) : batch
    const entries = await keepAsking(() => log.read(at, max), [])
    if (signal.aborted) return
    // What is gone by retention is passed over, and that may lead beyond the head of then.
    const ours = entries.filter((entry) => entry.position <= head && !(sinceMs && entry.recordedMs < sinceMs))
    if (ours.length > 0) yield ours
    at = entries.at(-1)?.position ?? head
  }
}

function startOf(log: LogReader, from: Exclude<ObserveFrom, 'now'>): Promise<bigint> {
  if (from === 'start') return log.start()
  if ('timeMs' in from) return log.positionAt(from.timeMs)
  return Promise.resolve(from.position > 0n ? from.position - 1n : 0n)
}

function sinceOf(from: ObserveFrom): number | undefined {
  return typeof from === 'object' && 'timeMs' in from ? from.timeMs : undefined
}
