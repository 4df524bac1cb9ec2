import type { LogEntry, LogReader } from '../../store/log.ts'

const pageSize = 500n
/** Memory that the cache may keep, about; a page that is being read comes on top. */
const maxBytes = 32 * 1024 * 1024
/** What an entry takes beside the text of its data: measured, about 1.5 kB of attributes and objects. */
const entryBytes = 1500

/** Part of the log: `entries` is all there is after the position that was asked for, up to and including `upTo`. */
export interface Span {
  readonly entries: readonly LogEntry[]
  readonly upTo: bigint
}

interface Page {
  readonly entries: LogEntry[]
  upTo: bigint
  bytes: number
}

/**
 * The log behind the tip, in pages that all groups and lanes of this process share: lanes that are behind at about the same
 * place read each page once, a lane that is far behind reads for itself, and a slow one holds nothing back. Bounded: what
 * was used longest ago goes first.
 */
export interface Pages {
  /** Known without asking the server, or undefined. Empty with `upTo === after` at the tip. */
  peek(after: bigint): Span | undefined
  /** Reads the page after this position. Throws what the reader throws. */
  load(after: bigint): Promise<void>
  /** New entries at the tip, which was `after` until now. */
  append(entries: readonly LogEntry[], after: bigint): void
  forget(): void
}

export function createPages(reader: LogReader, tip: () => bigint): Pages {
  const pages = new Map<bigint, Page>()
  const loading = new Map<bigint, Promise<void>>()
  let bytes = 0

  const startOf = (after: bigint) => (after / pageSize) * pageSize

  function keep(start: bigint, page: Page): void {
    pages.delete(start)
    pages.set(start, page)
    for (const [oldest, other] of pages) {
      if (bytes <= maxBytes || oldest === start) break
      pages.delete(oldest)
      bytes -= other.bytes
    }
  }

  async function read(start: bigint): Promise<void> {
    const end = start + pageSize
    // Before reading: the tip may move while the answer is on its way, and the answer lacks what came since.
    const known = tip()
    const found = await reader.read(start, Number(pageSize))
    const first = found[0]?.position
    // Retention removes events: the next one may be far away.
    const farthest = first !== undefined && first > end ? first - 1n : end
    const upTo = farthest < known ? farthest : known
    const page: Page = { entries: found.filter(({ position }) => position <= upTo), upTo, bytes: 0 }
    page.bytes = sizeOf(page.entries)
    bytes += page.bytes - (pages.get(start)?.bytes ?? 0)
    keep(start, page)
  }

  function extend(start: bigint, page: Page, entries: readonly LogEntry[]): void {
    const size = sizeOf(entries)
    page.entries.push(...entries)
    page.upTo = entries.at(-1)?.position ?? page.upTo
    page.bytes += size
    bytes += size
    keep(start, page)
  }

  return {
    peek(after) {
      const start = startOf(after)
      const page = pages.get(start)
      if (page === undefined || (page.upTo <= after && page.upTo < tip())) return undefined
      keep(start, page)
      return {
        entries: after === start ? page.entries : page.entries.slice(indexAfter(page.entries, after)),
        upTo: page.upTo,
      }
    },
    load(after) {
      const start = startOf(after)
      const running = loading.get(start)
      if (running !== undefined) return running
      const started = read(start).finally(() => loading.delete(start))
      loading.set(start, started)
      return started
    },
    append(entries, after) {
      for (let from = 0; from < entries.length; ) {
        const start = startOf(after)
        const some = entries.slice(from, from + indexAfter(entries.slice(from), start + pageSize))
        const page = pages.get(start) ?? (start === after ? { entries: [], upTo: after, bytes: 0 } : undefined)
        // A page that was not kept up to here has a gap: whoever needs it reads it again.
        if (page !== undefined && page.upTo === after) extend(start, page, some)
        from += some.length
        after = some.at(-1)?.position ?? startOf((entries[from]?.position ?? 1n) - 1n)
      }
    },
    forget() {
      pages.clear()
      bytes = 0
    },
  }
}

function indexAfter(entries: readonly LogEntry[], position: bigint): number {
  const index = entries.findIndex((entry) => entry.position > position)
  return index < 0 ? entries.length : index
}

function sizeOf(entries: readonly LogEntry[]): number {
  return entries.reduce((sum, entry) => sum + entry.dataText.length + entryBytes, 0)
}
