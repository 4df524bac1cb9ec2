import type { Cluster, Redis } from 'ioredis'
import { compareIds, lastPossibleId } from './entry-id.ts'
import { type Cursor, createPageSize, readPage, type StoredEntry } from './pages.ts'

/** An entry and where it was found. */
export interface Found {
  readonly cursor: Cursor
  readonly entry: StoredEntry
  readonly id: string
}

/** A stream that is read up to an end that was fixed before. */
export interface Stretch {
  readonly cursor: Cursor
  readonly through: string
}

interface Reading extends Stretch {
  pending: readonly Found[]
  ended: boolean
}

const atOnce = 64

/**
 * What lies between each cursor and its end, over all streams in the order of their ids, which are the server's times. At most one page of
 * each stream is held, and all pages together keep to a number of bytes. A cursor moves when what it passes is yielded.
 */
export async function* readHistory(
  client: Redis | Cluster,
  stretches: readonly Stretch[],
  signal: AbortSignal,
): AsyncGenerator<readonly Found[]> {
  const size = createPageSize()
  let readings: readonly Reading[] = stretches.map((stretch) => ({ ...stretch, pending: [], ended: false }))

  async function refill(reading: Reading, count: number): Promise<void> {
    const { cursor, through } = reading
    const page = compareIds(cursor.after, through) < 0 ? await readPage(client, cursor, through, count) : []
    size.learn(page)
    reading.pending = page.map((entry) => ({ cursor, entry, id: entry[0].toString() }))
    reading.ended = page.length < count
  }

  while (!signal.aborted && readings.length > 0) {
    const empty = readings.filter(({ pending, ended }) => pending.length === 0 && !ended)
    const count = size.next(readings.length)
    for (let at = 0; at < empty.length && !signal.aborted; at += atOnce)
      await Promise.all(empty.slice(at, at + atOnce).map((reading) => refill(reading, count)))
    const ready = takeUpTo(readings, horizonOf(readings))
    readings = readings.filter(({ pending, ended }) => pending.length > 0 || !ended)
    for (const { cursor, id } of ready) cursor.after = id
    if (ready.length > 0) yield ready
  }
}

/** Nothing unread can come before it: the least of the last ids of the pages that others follow. */
function horizonOf(readings: readonly Reading[]): string {
  let horizon = lastPossibleId
  for (const { pending, ended } of readings) {
    const last = pending.at(-1)?.id
    if (!ended && last !== undefined && compareIds(last, horizon) < 0) horizon = last
  }
  return horizon
}

function takeUpTo(readings: readonly Reading[], horizon: string): readonly Found[] {
  const parts: (readonly Found[])[] = []
  for (const reading of readings) {
    const { pending } = reading
    const beyond = pending.findIndex(({ id }) => compareIds(id, horizon) > 0)
    parts.push(beyond < 0 ? pending : pending.slice(0, beyond))
    reading.pending = beyond < 0 ? [] : pending.slice(beyond)
  }
  return inOrder(parts)
}

/** By id; entries of one stream keep their order. */
export function inOrder(parts: readonly (readonly Found[])[]): readonly Found[] {
  const filled = parts.filter((part) => part.length > 0)
  if (filled.length === 1) return filled[0] ?? []
  return filled.flat().sort((a, b) => compareIds(a.id, b.id))
}
