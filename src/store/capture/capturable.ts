import { EvtError } from '../../core/errors.ts'
import type { SqlExecutor } from '../../transports/transport.ts'
import { triggerOf } from './statements.ts'
import type { TableShape } from './table-shape.ts'

/** Throws `usage` for a table that PostgreSQL or evt itself would not let us capture, or only for a while. */
export async function assertCapturable(sql: SqlExecutor, name: string, shape: TableShape): Promise<void> {
  const { schema, table } = shape
  if (schema === 'evt') throw refused(name, "it is evt's own, and its capture would capture itself")
  if (schema === 'information_schema' || schema === 'pg_catalog' || schema === 'pg_toast')
    throw refused(name, 'it is a table of PostgreSQL itself', "name a table of the application's")
  if (schema.startsWith('pg_temp')) throw refused(name, 'it is temporary, and gone with its session')
  const { rows } = await sql.query(relativesQuery, [schema, table, triggerOf('insert')])
  const { above, below } = rows[0] as { above: string | null; below: string | null }
  if (above !== null)
    throw refused(
      name,
      `it is a partition of ${above}, whose capture has its changes`,
      `change that: evt capture add ${above}`,
    )
  if (below !== null)
    throw refused(name, `its partition ${below} is captured by itself`, `first: evt capture remove ${below}`)
}

/** A trigger of a partitioned table is on each of its partitions, as a copy that has a parent. */
const relativesQuery = `
  select
    (select format('%I.%I', n.nspname, c.relname) from pg_partition_ancestors(t.oid) a
     join pg_trigger g on g.tgrelid = a.relid and g.tgname = $3
     join pg_class c on c.oid = a.relid join pg_namespace n on n.oid = c.relnamespace
     where a.relid <> t.oid limit 1) as above,
    (select format('%I.%I', n.nspname, c.relname) from pg_partition_tree(t.oid) d
     join pg_trigger g on g.tgrelid = d.relid and g.tgname = $3 and g.tgparentid = 0
     join pg_class c on c.oid = d.relid join pg_namespace n on n.oid = c.relnamespace
     where d.relid <> t.oid limit 1) as below
  from (select format('%I.%I', $1::text, $2::text)::regclass::oid as oid) t`

const refused = (name: string, reason: string, hint?: string): EvtError =>
  new EvtError('usage', `cannot capture ${name}: ${reason}`, hint === undefined ? {} : { hint })
