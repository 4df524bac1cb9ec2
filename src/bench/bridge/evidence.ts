import type { SqlExecutor } from '../../transports/transport.ts'
import type { TargetEvidence } from '../target.ts'
import type { ScratchNames } from './names.ts'

/** Counts in the effects themselves: more than one row for an event, rows of a key out of order. Probes are left out. */
export async function readEvidence(sql: SqlExecutor, names: ScratchNames, handlers: number): Promise<TargetEvidence[]> {
  const { rows } = await sql.query(`
    with effects as (
      select n, handler, key, k, row_number() over (partition by handler, k order by n) as nth
      from ${names.schema}.effects where k >= 0
    ), ordered as (
      select handler, k, max(k) over (
        partition by handler, key order by n rows between unbounded preceding and 1 preceding) as latest
      from effects where nth = 1
    )
    select h.handler::int,
      (select count(*) from effects e where e.handler = h.handler and e.nth > 1)::int as duplicates,
      (select count(*) from ordered o where o.handler = h.handler and o.k < o.latest)::int as reordered
    from generate_series(0, ${handlers - 1}) as h(handler) order by 1`)
  return rows.map((row) => ({ duplicates: Number(row.duplicates), reordered: Number(row.reordered) }))
}
