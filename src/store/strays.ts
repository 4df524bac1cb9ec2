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
    { hint: `run it over ${stray.topic} until none waits: \`evt up\` ${wayTo(String(stray.topic))}, and then as now` },
  )
}

const wayTo = (topic: string): string =>
  topic === 'log' ? 'without --consume' : `with --consume and the sink that writes ${topic}`

export interface Place {
  readonly handler: string
  /** The last position of the log that all its lanes have passed. */
  readonly position: bigint
  /** Events of the log that it has not passed: then it keeps its place. */
  readonly behind: bigint
}

/**
 * Gives up where these handlers stood in the log, which they read no more: nothing else would ever move that, and retention would wait for it.
 * A handler that has not passed all of the log keeps its place, and what it missed; so does one whose lanes there have an owner.
 */
export async function leaveLog(sql: SqlExecutor, handlers: readonly string[]): Promise<readonly Place[]> {
  if (handlers.length === 0) return []
  const { rows } = await sql.query(
    `with places as materialized (
       select group_name, min(position) as position, greatest(evt.head() - min(position), 0) as behind
       from evt.lanes l where group_name = any($1)
         and not exists (select from evt.lanes o join evt.members m on m.session = o.owner where o.group_name = l.group_name)
       group by group_name),
     gone as (delete from evt.groups g using places p where p.group_name = g.name and p.behind = 0)
     select group_name as handler, position::text, behind::text from places`,
    [handlers],
  )
  return rows.map(({ handler, position, behind }) => ({
    handler: String(handler),
    position: BigInt(String(position)),
    behind: BigInt(String(behind)),
  }))
}
