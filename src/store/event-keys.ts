import type { SqlExecutor } from '../transports/transport.ts'

/**
 * Of these ids, the ones that were published with a key and sequenced, with the checksum of what was stored. What was committed a
 * moment ago may be missing: the sequencer decides, this only tells what is certain.
 */
export async function findKnownIds(
  sql: SqlExecutor,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string | null>> {
  if (ids.length === 0) return new Map()
  const { rows } = await sql.query(
    `select convert_from(key, 'UTF8') as id, checksum from evt.event_keys
     where key = any (select convert_to(id, 'UTF8') from unnest($1::text[]) id)`,
    [ids],
  )
  return new Map(rows.map(({ id, checksum }) => [String(id), checksum as string | null]))
}
