import type { LogEntry, LogReader } from '../store/log.ts'

/** Entries of a page: big enough to carry a backlog at full speed, small enough to hold several in memory. */
export const pageSize = 500
const kept = 4

export type ReadPage = (after: bigint) => Promise<readonly LogEntry[]>

/** Pages of the log for several sinks: those at the same place share one read. */
export function createLogPages(reader: Pick<LogReader, 'read'>): ReadPage {
  const pages = new Map<bigint, Promise<readonly LogEntry[]>>()
  return (after) => {
    const known = pages.get(after)
    if (known) return known
    const page = reader.read(after, pageSize)
    pages.set(after, page)
    // Only what is complete stays: a page that was cut short by the head is longer the next time.
    const forget = () => pages.delete(after)
    page.then((entries) => entries.length < pageSize && forget(), forget)
    for (const old of pages.keys()) if (pages.size > kept) pages.delete(old)
    return page
  }
}
