import type { LogEntry, LogReader } from '../store/log.ts'
import type { HeadBell } from './head-bell.ts'

/** Entries of a page: big enough to carry a backlog at full speed, small enough to hold several in memory. */
export const pageSize = 500
/** Where events are big, a page has fewer; one that is cut from small ones grows again by steps. */
const pageBytes = 8 * 1024 * 1024
const [firstSize, leastSize] = [100, 8]
const kept = 4

export interface LogPage {
  readonly page: readonly LogEntry[]
  /** Of the log, as it was known before the page was read: what the page does not have up to here is not there any more. */
  readonly head: bigint
}

export type ReadPage = (after: bigint) => Promise<LogPage>

/** Pages of the log for several sinks: those at the same place share one read. */
export function createLogPages(reader: Pick<LogReader, 'read'>, bell: Pick<HeadBell, 'head'>): ReadPage {
  const pages = new Map<bigint, Promise<LogPage>>()
  let size = firstSize
  const adapt = (entries: readonly LogEntry[]) => {
    const bytes = entries.reduce((sum, { dataText }) => sum + dataText.length, 0)
    const fitting = entries.length === 0 ? size : Math.floor((pageBytes * entries.length) / Math.max(1, bytes))
    size = Math.max(leastSize, Math.min(pageSize, fitting, size * 2))
  }
  return (after) => {
    const known = pages.get(after)
    if (known) return known
    const asked = size
    const { head } = bell
    const reading = reader.read(after, asked)
    const page = reading.then((entries) => ({ page: entries, head }))
    pages.set(after, page)
    // Only what is complete stays: a page that was cut short by the head is longer the next time.
    const forget = () => pages.delete(after)
    reading.then((entries) => {
      adapt(entries)
      if (entries.length < asked) forget()
    }, forget)
    for (const old of pages.keys()) if (pages.size > kept) pages.delete(old)
    return page
  }
}
