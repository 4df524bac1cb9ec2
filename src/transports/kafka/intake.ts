import type { Fetched } from './fetch-call.ts'
import { createRecordCursor, endOfBatches, type RawRecord, type RecordCursor } from './records.ts'

/** Above it nothing more is fetched: what was fetched is kept as it came, and read when it is asked for. */
const enoughBytes = 512 * 1024

/** What was fetched from a partition and not read yet. */
export interface Intake<T> {
  /** Where to fetch next. */
  readonly fetchFrom: bigint
  /** Behind everything that was read or is not there: holes of compaction, markers, what was aborted. */
  readonly reached: bigint
  readonly isFull: boolean
  add(fetched: Fetched): void
  /** The next message; undefined when there is none at hand. */
  next(): T | undefined
}

export interface IntakeOptions<T> {
  readonly from: bigint
  read(record: RawRecord): T
  /** A batch could not be read and is left out. */
  onSkipped(count: number, at: bigint, reason: Error): void
}

export function createIntake<T>({ from, read, onSkipped }: IntakeOptions<T>): Intake<T> {
  let cursors: { readonly cursor: RecordCursor; readonly end: bigint }[] = []
  let fetchFrom = from
  let reached = from

  function readOne(cursor: RecordCursor): T | undefined {
    for (;;) {
      try {
        const record = cursor.next()
        return record && read(record)
      } catch (error) {
        const at = cursor.position
        onSkipped(cursor.skipBatch(), at, error as Error)
      }
    }
  }

  return {
    get fetchFrom() {
      return fetchFrom
    },
    get reached() {
      return reached
    },
    get isFull() {
      let bytes = 0
      for (const { cursor } of cursors) bytes += cursor.leftBytes
      return bytes >= enoughBytes
    },
    add({ records, aborted }) {
      const end = endOfBatches(records)
      // Nothing that anybody may read yet.
      if (end === undefined || end <= fetchFrom) return
      cursors.push({ cursor: createRecordCursor(records, fetchFrom, aborted), end })
      fetchFrom = end
    },
    next() {
      for (;;) {
        const [first] = cursors
        if (first === undefined) return undefined
        const message = readOne(first.cursor)
        if (message !== undefined) {
          reached = first.cursor.position
          return message
        }
        reached = first.end
        cursors = cursors.slice(1)
      }
    },
  }
}
