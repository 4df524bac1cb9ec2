import type { SqlExecutor } from '../transports/transport.ts'
import { neededBy, retentionTasks } from './retention.ts'

export interface ClassReport {
  readonly class: string
  readonly days: number
  /** What its types match, in their order. */
  readonly types: readonly string[]
  /** Up to today; what came back from archives is not counted. */
  readonly partitions: number
  /** As PostgreSQL estimates them. */
  readonly events: number
  readonly bytes: number
  readonly oldest: string | null
  /** The first day on which something of it is past its age. */
  readonly nextDrop: string | null
  readonly archives: number
}

export interface DueReport {
  readonly table: string
  /** Why it stays; null: it may go. */
  readonly stays: string | null
  /** As the view `evt.needs` names them. */
  readonly needs: readonly string[]
}

export interface RetentionReport {
  readonly classes: readonly ClassReport[]
  /** Past its age, the oldest first. */
  readonly due: readonly DueReport[]
  readonly restored: readonly { readonly class: string; readonly day: string; readonly keepUntil: string }[]
}

const classesText = `
  with leaves as (
    select k.class, d.day, pg_total_relation_size(c.oid) as bytes, greatest(c.reltuples, pg_stat_get_live_tuples(c.oid), 0) as events
    from pg_class c join evt.classes k on c.relname ~ ('^outbox_' || k.class || '_[0-9]{8}$')
    cross join lateral (select to_date(substring(c.relname from '^outbox_[a-z0-9]+_([0-9]{8})$'), 'YYYYMMDD') as day) d
    where c.relnamespace = 'evt'::regnamespace and c.relkind = 'r' and d.day <= $1::date
      and not exists (select from evt.restored r where r.class = k.class and r.day = d.day)
  )
  select k.class, k.days, count(l.day)::int as partitions, coalesce(sum(l.events), 0)::float8 as events,
    coalesce(sum(l.bytes), 0)::float8 as bytes, min(l.day)::text as oldest, (min(l.day) + k.days + 1)::text as next_drop,
    (select count(*) from evt.archives a where a.class = k.class)::int as archives,
    array(select pattern from evt.type_classes t where t.class = k.class order by nth) as types
  from (select class, coalesce(($2::json->>class)::int, retention_days) as days from evt.classes) k
  left join leaves l on l.class = k.class group by k.class, k.days order by k.class`

/** Reads only. `retentionDays`: in place of what the store says, by class. */
export async function readRetention(
  sql: SqlExecutor,
  retentionDays: Readonly<Record<string, number>> = {},
): Promise<RetentionReport> {
  const today = String((await sql.query('select evt.today()::text as today')).rows[0]?.today)
  const { rows } = await sql.query(classesText, [today, JSON.stringify(retentionDays)])
  const due: DueReport[] = []
  for (const task of await retentionTasks(sql, today, retentionDays)) {
    const needs = await task.needs(sql)
    due.push({ table: task.table, stays: neededBy(needs) ?? null, needs })
  }
  const restored = await sql.query('select class, day::text, keep_until::text from evt.restored order by day, class')
  return {
    classes: rows.map((row) => ({
      class: String(row.class),
      days: Number(row.days),
      types: row.types as string[],
      partitions: Number(row.partitions),
      events: Math.round(Number(row.events)),
      bytes: Number(row.bytes),
      oldest: row.oldest as string | null,
      nextDrop: row.next_drop as string | null,
      archives: Number(row.archives),
    })),
    due,
    restored: restored.rows.map((row) => ({
      class: String(row.class),
      day: String(row.day),
      keepUntil: String(row.keep_until),
    })),
  }
}
