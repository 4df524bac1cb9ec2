import type { SqlExecutor } from '../transports/transport.ts'
import type { Store } from './connection.ts'
import type { StoredEvent } from './event-row.ts'
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

/** A connection of its own, opened on first use. */
export function openSubjectReader(store: Store): SubjectReader {
  const reading = openReading(store, 'evt subjects')

  return {
    async read(subject, from, max) {
      const keys = await reading.rows(
        'subject',
        'select sequence, class, day, xid, seq from evt.streams where subject = $1 and sequence >= $2 order by sequence limit $3',
        [subject, String(from), max],
      )
      const events = await readPlaced(reading, keys.map(placeIn))
      return keys.map((row) => ({ sequence: BigInt(row[0] as string), event: events.get(row[0] as string) }))
    },
    close: () => reading.close(),
  }
}

/** Other writers of this subject wait until the transaction ends. Its last sequence; 0n when nothing was appended. */
export async function enterStream(sql: SqlExecutor, subject: string): Promise<bigint> {
  const { rows } = await sql.query('select evt.enter_stream($1)::text as last', [subject])
  return BigInt(String(rows[0]?.last ?? 0))
}
