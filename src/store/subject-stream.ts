import type { SqlExecutor } from '../transports/transport.ts'
import type { Store } from './connection.ts'
import { isMissingTable } from './errors.ts'
import { eventColumns, type StoredEvent, storedEvent, type TextRow } from './event-row.ts'
import { outboxLeaf } from './partition-names.ts'
import { placeIn, readPlaced } from './placed-events.ts'
import { openReading } from './reading.ts'

/** An event of a subject that was appended. Its event is undefined when retention has removed it. */
export interface SubjectEntry {
  readonly sequence: bigint
  readonly event: StoredEvent | undefined
}

export interface SubjectReader {
  /** In order, from this sequence on, up to `max`; what was committed when it is read. */
  read(subject: string, from: bigint, max: number): Promise<readonly SubjectEntry[]>
  close(): Promise<void>
}

const places = `select s.sequence, s.class, s.day, s.xid, s.seq from evt.streams s
  where s.subject = $1 and s.sequence >= $2 order by s.sequence limit $3`
const eventAt = 5

/** A connection of its own, opened on first use. */
export function openSubjectReader(store: Store): SubjectReader {
  const reading = openReading(store, 'evt subjects')
  // Where the last event lay the next ones may lie: that day is joined, others are asked for after.
  let likely: string | undefined

  async function rowsOf(values: readonly unknown[]): Promise<readonly TextRow[]> {
    if (likely === undefined) return reading.rows('subject', places, values)
    const joined = `select s.*, ${eventColumns} from (${places}) s
      left join only ${likely} o on o.xid = s.xid and o.seq = s.seq order by s.sequence`
    try {
      return await reading.rows(`subject ${likely}`, joined, values)
    } catch (error) {
      // Retention has dropped that day.
      if (!isMissingTable(error)) throw error
      likely = undefined
      return rowsOf(values)
    }
  }

  return {
    async read(subject, from, max) {
      const rows = await rowsOf([subject, String(from), max])
      const isThere = (row: TextRow) => row.length > eventAt && row[eventAt] !== null
      const others = await readPlaced(reading, rows.filter((row) => !isThere(row)).map(placeIn))
      const last = rows.at(-1)
      if (last) likely = outboxLeaf(last[1] as string, last[2] as string)
      return rows.map((row) => ({
        sequence: BigInt(row[0] as string),
        event: isThere(row) ? storedEvent(row, eventAt) : others.get(row[0] as string),
      }))
    },
    close: () => reading.close(),
  }
}

/** Other writers of this subject wait until the transaction ends. Its last sequence; 0n when nothing was appended. */
export async function enterStream(sql: SqlExecutor, subject: string): Promise<bigint> {
  const { rows } = await sql.query('select evt.enter_stream($1)::text as last', [subject])
  return BigInt(String(rows[0]?.last ?? 0))
}
