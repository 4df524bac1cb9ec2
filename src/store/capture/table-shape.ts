import { EvtError } from '../../core/errors.ts'
import type { SqlExecutor } from '../../transports/transport.ts'

export interface Column {
  readonly name: string
  /** As SQL writes it, with its schema: `numeric(10,2)`, `text[]`, `public."Mood"`. */
  readonly type: string
  readonly baseType: string
  /** False for json, xml, point …: compared by their text. */
  readonly comparable: boolean
}

export interface TableShape {
  readonly schema: string
  readonly table: string
  readonly partitioned: boolean
  /** A partition, or one that inherits: its rows are also written through another table. */
  readonly inherits: boolean
  /** In the table's order. Without virtual generated columns: they have no value inside a trigger. */
  readonly columns: readonly Column[]
  readonly hasVirtualColumns: boolean
  readonly primaryKey: readonly string[]
}

/**
 * What the catalogue says about a table. `name` is written as in SQL (`users`, `shop.orders`, `"Odd Name"`). Throws `usage` when
 * it does not exist or is no table. Empties the search path of the transaction that it has to run in.
 */
export async function readTableShape(sql: SqlExecutor, name: string): Promise<TableShape> {
  const { rows } = await sql.query(tableQuery, [name]).catch((error: unknown) => {
    throw noTableName(error, name)
  })
  const row = rows[0]
  if (!row) {
    throw new EvtError('usage', `cannot capture ${name}: there is no such table`, {
      hint: 'write it with its schema (shop.orders), and odd names in double quotes',
    })
  }
  if (row.kind !== 'r' && row.kind !== 'p') {
    throw new EvtError('usage', `cannot capture ${name}: it is not a table`, {
      hint: 'capture the tables below a view',
    })
  }
  // So that the names of types come with their schema.
  await sql.query("set local search_path = ''")
  const { rows: columns } = await sql.query(columnQuery, [row.oid])
  return {
    schema: String(row.schema),
    table: String(row.name),
    partitioned: row.kind === 'p',
    inherits: Boolean(row.inherits),
    hasVirtualColumns: Boolean(row.has_virtual),
    columns: columns.map((column) => ({
      name: String(column.name),
      type: String(column.type),
      baseType: String(column.base_type),
      comparable: Boolean(column.comparable),
    })),
    primaryKey: (row.primary_key as string[] | null) ?? [],
  }
}

/** What PostgreSQL says of a name that it cannot read, as `usage`; what is wrong with the server stays that. */
export function noTableName(error: unknown, name: string): unknown {
  if (error instanceof EvtError) return error
  return new EvtError('usage', `cannot capture ${name}: it is no table name`, {
    hint: 'write it as SQL does: users, shop.orders, "Odd Name"',
    cause: error,
  })
}

const tableQuery = `
  select c.oid, n.nspname as schema, c.relname as name, c.relkind as kind,
    exists (select from pg_inherits where inhrelid = c.oid) as inherits,
    exists (select from pg_attribute where attrelid = c.oid and attgenerated = 'v' and not attisdropped) as has_virtual,
    (select array_agg(a.attname::text order by k.place)
     from pg_index i
     cross join lateral unnest(i.indkey) with ordinality as k (attnum, place)
     join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
     where i.indrelid = c.oid and i.indisprimary) as primary_key
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.oid = to_regclass($1)`

// Comparable: `is distinct from` finds the type's equality in pg_catalog, whatever the writer's search_path is. An array is
// when its elements are.
const columnQuery = `
  select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, b.typname as base_type,
    (e.typtype in ('e', 'r', 'm') or (e.typtype = 'b' and e.typnamespace = 'pg_catalog'::regnamespace))
    and e.typname not in ('json', 'xml', 'point', 'line', 'lseg', 'box', 'path', 'polygon', 'circle') as comparable
  from pg_attribute a
  join pg_type t on t.oid = a.atttypid
  join pg_type b on b.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
  join pg_type e on e.oid = case when b.typcategory = 'A' then b.typelem else b.oid end
  where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped and a.attgenerated <> 'v'
  order by a.attnum`
