import type { SqlExecutor } from '../transports/transport.ts'
import type { Store } from './connection.ts'
import { isMissingTable } from './errors.ts'
import { eventColumns, type StoredEvent, storedEvent, type TextRow } from './event-row.ts'
import { outboxLeaf } from './partition-names.ts'
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

  async function fetch(leaf: string, of: readonly TextRow[], into: Map<string, StoredEvent>): Promise<void> {
    const text = `select k.sequence, ${eventColumns} from unnest($1::bigint[], $2::xid8[], $3::bigint[]) k (sequence, xid, seq)
      join only ${leaf} o on o.xid = k.xid and o.seq = k.seq`
    try {
      const keys = [of.map((row) => row[0]), of.map((row) => row[3]), of.map((row) => row[4])]
      for (const row of await reading.rows(`subject ${leaf}`, text, keys))
        into.set(row[0] as string, storedEvent(row, 1))
    } catch (error) {
      // That day is gone.
      if (!isMissingTable(error)) throw error
    }
  }

  return {
    async read(subject, from, max) {
      const keys = await reading.rows(
        'subject',
        'select sequence, class, day, xid, seq from evt.streams where subject = $1 and sequence >= $2 order by sequence limit $3',
        [subject, String(from), max],
      )
      const byLeaf = new Map<string, TextRow[]>()
      for (const row of keys) {
        const leaf = outboxLeaf(row[1] as string, row[2] as string)
        const of = byLeaf.get(leaf)
        if (of) of.push(row)
        else byLeaf.set(leaf, [row])
      }
      const events = new Map<string, StoredEvent>()
      for (const [leaf, of] of byLeaf) await fetch(leaf, of, events)
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
