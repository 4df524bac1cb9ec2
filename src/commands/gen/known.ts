import type { EncodedEvent } from '../../core/codec.ts'
import type { SqlExecutor } from '../../transports/transport.ts'

/** What the sequencer will make of events whose ids came from outside. */
export interface Known {
  /** The same bytes under the same id: dropped. */
  readonly duplicates: number
  /** Other bytes under the same id: kept in evt.refused, never sequenced. */
  readonly conflicts: readonly EncodedEvent[]
}

export const noneKnown: Known = { duplicates: 0, conflicts: [] }

/**
 * Compares with the keys of the log and, in order, with each other; what is committed and not sequenced yet is not seen.
 * Undefined for a role that may not read the keys.
 */
export async function findKnown(sql: SqlExecutor, events: readonly EncodedEvent[]): Promise<Known | undefined> {
  const { rows: may } = await sql.query(`select has_table_privilege('evt.event_keys', 'select') as read`)
  if (!(may[0] as { read: boolean }).read) return undefined
  const { rows } = await sql.query(
    `select convert_from(key, 'UTF8') as id, checksum from evt.event_keys
     where key = any (array(select convert_to(id, 'UTF8') from unnest($1::text[]) id))`,
    [events.map(({ id }) => id)],
  )
  const checksums = new Map(
    (rows as { id: string; checksum: string | null }[]).map(({ id, checksum }) => [id, checksum]),
  )
  const conflicts: EncodedEvent[] = []
  let duplicates = 0
  for (const event of events) {
    const first = checksums.get(event.id)
    if (first === undefined) checksums.set(event.id, event.checksum)
    else if (first === event.checksum) duplicates++
    else conflicts.push(event)
  }
  return { duplicates, conflicts }
}
