import type { SqlExecutor } from '../transports/transport.ts'

export interface KnownId {
  readonly checksum: string | null
  /** Until its time: nothing that comes under this id now may be there before it. */
  readonly isHeld: boolean
}

/**
 * Of these ids, the ones that were published with a key and sequenced, or are held until their time, with the checksum of what was stored.
 * What was committed a moment ago may be missing: the sequencer decides, this only tells what is certain.
 */
export async function findKnownIds(sql: SqlExecutor, ids: readonly string[]): Promise<ReadonlyMap<string, KnownId>> {
  if (ids.length === 0) return new Map()
  const { rows } = await sql.query(
    `with asked as materialized (select convert_to(id, 'UTF8') as key from unnest($1::text[]) id)
     select distinct on (key) convert_from(key, 'UTF8') as id, checksum, nth > 0 as held from (
       select key, checksum, 0 as nth from evt.event_keys where key = any (select key from asked)
       union all
       select event_key, checksum, number from evt.scheduled where event_key = any (select key from asked)
     ) known order by key, nth`,
    [ids],
  )
  return new Map(
    rows.map(({ id, checksum, held }) => [String(id), { checksum: checksum as string | null, isHeld: held === true }]),
  )
}
