import type { SqlExecutor } from '../../transports/transport.ts'
import type { GroupState, Inspection } from '../transport.ts'

// A lane's position covers what it passed over, so the slowest one tells the lag; its next entry, the age.
const groupsText = `select g.name, greatest(h.head - s.slowest, 0) as lag, s.slowest,
  (select count(*) from evt.members m where g.name = any (m.groups)) as members,
  (select extract(epoch from clock_timestamp() - l.sequenced_at) * 1000 from evt.log l where l.position > s.slowest
    and h.head > s.slowest order by l.position limit 1) as age_ms
  from evt.groups g cross join (select evt.head() as head) h
  cross join lateral (select min(position) as slowest from evt.lanes l where l.group_name = g.name) s
  order by g.name`

const topicText = `select evt.head() as head, (select min(position) from evt.log) as first,
  (select extract(epoch from max(sequenced_at)) * 1000 from evt.log where position = evt.head()) as last_ms`

export async function inspectLog(sql: SqlExecutor): Promise<Inspection> {
  const [topic, groups] = await Promise.all([sql.query(topicText), sql.query(groupsText)])
  const { head, first, last_ms: lastMs } = topic.rows[0] ?? {}
  const messages = first === null ? 0 : Number(head) - Number(first) + 1
  const state = { topic: 'log', messages, head: String(head) }
  return {
    topics: [lastMs === null ? state : { ...state, lastTimeMs: Number(lastMs) }],
    groups: groups.rows.map(groupState),
  }
}

function groupState(row: Readonly<Record<string, unknown>>): GroupState {
  const state = { group: String(row.name), topic: 'log', lagMessages: Number(row.lag), members: Number(row.members) }
  return row.age_ms === null ? state : { ...state, oldestAgeMs: Math.max(0, Number(row.age_ms)) }
}
