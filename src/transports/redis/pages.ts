import type { Cluster, Redis } from 'ioredis'
import { lastPossibleId } from './entry-id.ts'

/** As XRANGE and XREAD give it, asked for as buffers: its id, then names and values by turns. */
export type StoredEntry = readonly [id: Buffer, fields: readonly Buffer[]]

/** A place in one stream. */
export interface Cursor {
  readonly stream: string
  /** The topic it belongs to. */
  readonly topic: string
  /** The id last read. */
  after: string
}

/** How many entries to ask for, so that what comes stays within a number of bytes over all streams that are read at once. */
export interface PageSize {
  next(streams: number): number
  learn(entries: readonly StoredEntry[]): void
}

const targetBytes = 4 * 1024 * 1024
const mostEntries = 1_000
const firstEntries = 8

export function createPageSize(): PageSize {
  let entryBytes = targetBytes / firstEntries
  return {
    next: (streams) => Math.max(1, Math.min(mostEntries, Math.floor(targetBytes / entryBytes / Math.max(1, streams)))),
    learn(entries) {
      if (entries.length === 0) return
      let bytes = 0
      for (const entry of entries) bytes += bytesOf(entry)
      const mean = bytes / entries.length
      // Big ones count at once, small ones by and by: the next may be big again.
      entryBytes = Math.max(mean, entryBytes / 4, 1)
    },
  }
}

function bytesOf([, fields]: StoredEntry): number {
  let bytes = 64
  for (const field of fields) bytes += field.length
  return bytes
}

/** The next entries of one stream, up to and with `through`. */
export async function readPage(
  client: Redis | Cluster,
  { stream, after }: Cursor,
  through: string,
  count: number,
): Promise<readonly StoredEntry[]> {
  if (after === lastPossibleId) return []
  return (await client.xrangeBuffer(stream, `(${after}`, through, 'COUNT', count)) as unknown as readonly StoredEntry[]
}

/** Where a stream ends now: what is stored later comes after it. `0-0` for one that is empty or missing. */
export async function lastIdOf(client: Redis | Cluster, stream: string): Promise<string | undefined> {
  const [last] = await client.xrevrangeBuffer(stream, '+', '-', 'COUNT', 1)
  return last?.[0]?.toString()
}
