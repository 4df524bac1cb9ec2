import type { SqlExecutor } from '../../transports/transport.ts'
import type { Whereabouts } from '../target.ts'
import { idOf, type ScratchNames } from './names.ts'

const query = `
  select w.id, o.id is not null as stored, d.event_id is not null as retrying, dl.event_id is not null as dead,
    i.event_id is not null as handled, coalesce(la.position >= l.position, false) as passed
  from unnest($1::text[]) as w(id)
  left join evt.outbox o on o.class = 'scratch' and o.type = $2 and o.id = w.id
  left join evt.log l on l.position > $4 and l.class = o.class and l.seq = o.seq and l.xid = o.xid
  left join evt.groups g on g.name = $3
  left join evt.lanes la on la.group_name = g.name and la.lane = l.slot % g.lanes
  left join evt.deliveries d on d.handler = $3 and d.event_id = w.id
  left join evt.dead_letters dl on dl.handler = $3 and dl.event_id = w.id
  left join evt.inbox i on i.handler = $3 and i.event_id = w.id`

interface Question {
  readonly names: ScratchNames
  /** The handler's full name. */
  readonly handler: string
  readonly ks: readonly number[]
  /** Position of the log before the run. */
  readonly after: bigint
}

/** Where the store has each event that `handler` was not seen to finish. */
export async function locateInStore(sql: SqlExecutor, { names, handler, ks, after }: Question): Promise<Whereabouts[]> {
  const ids = ks.map((k) => idOf(names.run, k))
  const { rows } = await sql.query(query, [ids, names.type, handler, String(after)])
  const found = new Map(rows.map((row) => [String(row.id), whereabouts(row)]))
  return ids.map((id) => found.get(id) ?? 'lost')
}

function whereabouts(row: Readonly<Record<string, unknown>>): Whereabouts {
  if (row.stored !== true) return 'lost'
  if (row.retrying === true) return 'retrying'
  if (row.dead === true) return 'dead'
  // Committed after the cut-off: the run did not see it in time.
  if (row.handled === true) return 'open'
  return row.passed === true ? 'lost' : 'open'
}
