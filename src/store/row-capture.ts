import { toError } from '../core/errors.ts'
import type { SqlExecutor } from '../transports/transport.ts'

/** A row as a transaction would have written it. */
export interface WrittenRow {
  /** `schema.table` */
  readonly table: string
  readonly op: 'insert' | 'update' | 'delete'
  readonly old?: Readonly<Record<string, unknown>>
  readonly new?: Readonly<Record<string, unknown>>
}

/** How many rows a transaction has written in a table, also those that it took back. */
export interface TouchedTable {
  readonly table: string
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
}

const lockWait = '200ms'

/** Once for a session: where rows are put, in its own temporary schema. */
export async function prepareCapture(sql: SqlExecutor): Promise<void> {
  await sql.query(
    `create temporary table if not exists evt_written (n bigint generated always as identity, tab text, op text, old jsonb, new jsonb)`,
  )
  await sql.query(`create or replace function pg_temp.evt_note() returns trigger language plpgsql as $$
    begin
      insert into pg_temp.evt_written (tab, op, old, new) values (tg_table_schema || '.' || tg_table_name, lower(tg_op),
        case when tg_op <> 'INSERT' then to_jsonb(old) end, case when tg_op <> 'DELETE' then to_jsonb(new) end);
      return null;
    end $$`)
  // A commit, however somebody manages it, fails; and what comes after it writes nothing.
  await sql.query(`create or replace function pg_temp.evt_refuse() returns trigger language plpgsql as $$
    begin
      if coalesce(current_setting('evt.shadow_checks', true), '') <> 'on' then
        raise exception 'cannot commit: a shadow run is taken back';
      end if;
      return null;
    end $$`)
  await sql.query('create temporary table if not exists evt_guard (n int)')
  await sql.query(
    `create constraint trigger evt_guard after insert on pg_temp.evt_guard deferrable initially deferred
     for each row execute function pg_temp.evt_refuse()`,
  )
  await sql.query('set default_transaction_read_only = on')
}

export async function beginCapture(sql: SqlExecutor): Promise<void> {
  await sql.query('begin read write')
  await sql.query('insert into pg_temp.evt_guard values (1)')
}

/** What deferred constraints say now; undefined when the transaction could be committed. Nothing may be written after it. */
export async function deferredError(sql: SqlExecutor): Promise<Error | undefined> {
  try {
    await sql.query(`select set_config('evt.shadow_checks', 'on', true)`)
    await sql.query('set constraints all immediate')
    return undefined
  } catch (error) {
    return toError(error)
  }
}

/**
 * In the transaction: from now on its rows of these tables are noted. Holds up other writers of them until it is rolled back. The
 * tables that this role may not watch, or that somebody is busy with.
 */
export async function captureRows(sql: SqlExecutor, tables: readonly string[]): Promise<readonly string[]> {
  const unwatched: string[] = []
  for (const table of tables) {
    await sql.query('savepoint capture')
    try {
      await sql.query(`set local lock_timeout = '${lockWait}'`)
      await sql.query(
        `create trigger "~evt_note" after insert or update or delete on ${quotedName(table)} for each row execute function pg_temp.evt_note()`,
      )
      await sql.query('set local lock_timeout to default')
    } catch {
      await sql.query('rollback to capture')
      unwatched.push(table)
    }
    await sql.query('release capture')
  }
  return unwatched
}

/** In the order in which they were written. */
export async function capturedRows(sql: SqlExecutor): Promise<readonly WrittenRow[]> {
  const { rows } = await sql.query('select tab, op, old, new from pg_temp.evt_written order by n')
  return rows.map(({ tab, op, old, new: now }) => ({
    table: String(tab),
    op: op as WrittenRow['op'],
    ...(old === null ? {} : { old: old as Record<string, unknown> }),
    ...(now === null ? {} : { new: now as Record<string, unknown> }),
  }))
}

/**
 * Tables of others that this transaction has written to so far; evt's own and temporary ones are not meant. The server counts what the
 * session did in the last second along: `before` is what it said at the beginning of the transaction.
 */
export async function touchedTables(
  sql: SqlExecutor,
  before: readonly TouchedTable[] = [],
): Promise<readonly TouchedTable[]> {
  const { rows } = await sql.query(
    `select schemaname || '.' || relname as tab, n_tup_ins::int as ins, n_tup_upd::int as upd, n_tup_del::int as del
     from pg_stat_xact_user_tables where n_tup_ins + n_tup_upd + n_tup_del > 0 and schemaname <> 'evt' and schemaname !~ '^pg_' order by 1`,
  )
  const earlier = new Map(before.map((one) => [one.table, one]))
  return rows.flatMap((row) => {
    const table = String(row.tab)
    const old = earlier.get(table)
    const inserted = Number(row.ins) - (old?.inserted ?? 0)
    const updated = Number(row.upd) - (old?.updated ?? 0)
    const deleted = Number(row.del) - (old?.deleted ?? 0)
    return inserted + updated + deleted > 0 ? [{ table, inserted, updated, deleted }] : []
  })
}

/** Columns whose values differ from run to run because the database makes them: numbers of sequences, random ids. */
export async function generatedColumns(sql: SqlExecutor, table: string): Promise<readonly string[]> {
  const { rows } = await sql.query(
    `select a.attname as name from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped
       and (a.attidentity <> '' or pg_get_expr(d.adbin, d.adrelid) ~* '(nextval|uuid|random)')`,
    [quotedName(table)],
  )
  return rows.map((row) => String(row.name))
}

function quotedName(table: string): string {
  const dot = table.indexOf('.')
  return [table.slice(0, dot), table.slice(dot + 1)].map((part) => `"${part.replaceAll('"', '""')}"`).join('.')
}
