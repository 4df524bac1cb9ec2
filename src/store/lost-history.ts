import type { SqlExecutor } from '../transports/transport.ts'

/** Events of the log that retention has removed, and between which positions they lay. */
export interface LostHistory {
  readonly events: number
  readonly from: bigint
  readonly to: bigint
}

/**
 * What who wants these types (or patterns) and reads the log from its beginning may miss: events of classes that such types are in, or were in
 * before their class was there, and what was before the log begins. Looks at the whole log. Undefined: nothing.
 */
export async function readLost(sql: SqlExecutor, types: readonly string[]): Promise<LostHistory | undefined> {
  const isPattern = types.some((type) => /[*{]/.test(type))
  const { rows } = await sql.query(
    `with leaves as materialized (
       select (string_to_array(relname, '_'))[2] as class, to_date(right(relname, 8), 'YYYYMMDD') as day from pg_class
       where relnamespace = 'evt'::regnamespace and relname ~ '^outbox_[a-z0-9]+_[0-9]{8}$' and relkind = 'r'
     ), wanted as materialized (
       select w.class, (select min(l.day) from leaves l where l.class = w.class) as since
       from (select distinct evt.class_of(t) as class from unnest($1::text[]) t) w
     ), parts as (
       select class, day, count(*) as events, min(position) as first, max(position) as last from evt.log group by 1, 2
     ), lost as (
       select events, first, last from parts p
       where not exists (select from leaves l where l.class = p.class and l.day = p.day)
         and ($2 or exists (select from wanted w where w.class = p.class or p.day < w.since))
       union all
       select first, 1, first from (select coalesce(min(position) - 1, evt.head()) as first from evt.log) b where first > 0
     )
     select sum(events)::text as events, min(first)::text as first, max(last)::text as last from lost having count(*) > 0`,
    [types, isPattern],
  )
  const [row] = rows
  return row && { events: Number(row.events), from: BigInt(String(row.first)), to: BigInt(String(row.last)) }
}
