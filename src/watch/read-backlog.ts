import type { Store } from '../store/connection.ts'
import type { HandlerBacklog } from './snapshot.ts'

/** Bridges write what they passed once a second: younger events are under way, not behind. */
const settlingMs = 2000

// The ticks remember when which position was the last one; each lane has about an equal share of the log. A replay takes nothing after its end.
const backlogSql = `
  with passed as (
    select coalesce((select head from evt.ticks where at < clock_timestamp() - make_interval(secs => $1) order by tick desc limit 1), 0) as head
  ), behind as (
    select l.group_name as handler, min(l.position) as slowest,
      round(sum(greatest(0, least(passed.head, p.upto) - l.position)) / count(*))::float8 as lag
    from evt.lanes l cross join passed left join evt.replays p on p.id = nullif(split_part(l.group_name, '.replay-', 2), '')
    group by l.group_name
  )
  select b.handler, b.lag,
    case when b.lag > 0 then extract(epoch from clock_timestamp()
      - (select sequenced_at from evt.log where position = b.slowest + 1)) * 1000 end::float8 as oldest_ms,
    (select count(*) from evt.deliveries d where d.handler = b.handler)::int as retrying,
    (select count(*) from evt.parked_subjects p where p.handler = b.handler)::int as parked
  from behind b order by b.handler`

/** How far each group of the log is behind. */
export async function readBacklog(store: Store): Promise<readonly HandlerBacklog[]> {
  const { rows } = await store.query(backlogSql, [settlingMs / 1000])
  return (rows as { handler: string; lag: number; oldest_ms: number | null; retrying: number; parked: number }[]).map(
    (row) => ({
      handler: row.handler,
      lagEvents: row.lag,
      oldestAgeMs: row.oldest_ms,
      retrying: row.retrying,
      parkedSubjects: row.parked,
    }),
  )
}
