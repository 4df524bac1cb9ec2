import type { LogEntry } from '../store/log.ts'
import type { EventPorts } from './ports.ts'

export interface SharedPages {
  /** As `LogReader.read`; those who stand at the same place read once. */
  read(after: bigint, max: number): Promise<readonly LogEntry[]>
}

/** Streams that have caught up all stand at the end of the log, and one query answers all of them. */
export function createSharedPages(log: Pick<EventPorts['log'], 'read'>): SharedPages {
  const open = new Map<string, Promise<readonly LogEntry[]>>()
  return {
    read(after, max) {
      const key = `${after} ${max}`
      const page =
        open.get(key) ??
        log.read(after, max).finally(() => {
          open.delete(key)
        })
      open.set(key, page)
      return page
    },
  }
}
