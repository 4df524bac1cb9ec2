import { EvtError } from '../core/errors.ts'
import type { SqlExecutor } from '../transports/transport.ts'

/**
 * Throws `config` when deliveries of these handlers wait in lanes of other topics than they read now: nobody would own those lanes, and
 * later events of their subjects would overtake them.
 */
export async function assertNoStrays(
  sql: SqlExecutor,
  topicsOf: ReadonlyMap<string, readonly string[]>,
): Promise<void> {
  const { rows } = await sql.query(
    `select handler, topic, sum(count)::int as count from (
       select handler, topic, count(*) from evt.deliveries where handler = any($1) group by 1, 2
       union all
       select p.handler, d.topic, 1 from evt.parked_subjects p join evt.dead_letters d on d.id = p.blocked_by where p.handler = any($1)
     ) waiting group by 1, 2 order by 1, 2`,
    [[...topicsOf.keys()]],
  )
  const stray = rows.find((row) => !topicsOf.get(String(row.handler))?.includes(String(row.topic)))
  if (!stray) return
  throw new EvtError(
    'config',
    `cannot run ${stray.handler} over ${topicsOf.get(String(stray.handler))?.join(', ')}: ${stray.count} of its events wait in lanes of ${stray.topic}`,
    { hint: `let it finish them over ${stray.topic} first, as it was configured before (\`consume\`)` },
  )
}
