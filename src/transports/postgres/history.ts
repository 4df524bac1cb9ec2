import type { History } from '../../core/history.ts'
import type { LogEntry, LogReader } from '../../store/log.ts'

/** No lane has it: lanes take what their number is the remainder of. */
const nobodysSlot = -1

/** The log as if it ended at `upTo`, and as if nobody read what is not wanted: lanes pass over it at the cost of reading it. */
export function historyOf(reader: LogReader, { upTo, wants }: History): LogReader {
  const seen = (entry: LogEntry): LogEntry => (wants(entry) ? entry : { ...entry, slot: nobodysSlot })
  return {
    ...reader,
    head: async () => upTo,
    async read(after, max) {
      const entries = await reader.read(after, max)
      const last = entries.at(-1)
      const within = last && last.position > upTo ? entries.filter(({ position }) => position <= upTo) : entries
      return within.map(seen)
    },
    beyond: (_position, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) resolve()
        signal.addEventListener('abort', () => resolve(), { once: true })
      }),
  }
}
