import { EvtError } from '../core/errors.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import type { Audit } from './audit.ts'
import { assertCapturable } from './capture/capturable.ts'
import { type CaptureConfig, type CaptureOptions, configureCapture } from './capture/config.ts'
import { captureStatements, dropStatements, operations, triggerOf } from './capture/statements.ts'
import { noTableName, readTableShape } from './capture/table-shape.ts'
import type { Store } from './connection.ts'
import { assertSealed, capturedTypes, readSealed } from './sealed-fields.ts'

export type { CaptureOptions, CaptureRule } from './capture/config.ts'

export interface Capture {
  readonly schema: string
  readonly table: string
  readonly entity: string
  readonly mode: 'row' | 'statement'
  readonly options: CaptureOptions
  readonly createdAt: Date
  /**
   * `active`; `disabled`: somebody switched a trigger off; `missing`: a trigger or the table is gone; `stale`: the table's
   * columns are not those that were captured. `addCapture` with `options` repairs all but a missing table.
   */
  readonly state: 'active' | 'disabled' | 'missing' | 'stale'
}

export interface CaptureLock {
  /** A writer that holds the table makes us wait, and everybody behind us: this long and no longer. Default 5,000 ms. */
  readonly lockTimeoutMs?: number
}
export interface CaptureChange extends CaptureLock {
  readonly audit?: Audit
}

const boundLock = ({ lockTimeoutMs = 5_000 }: CaptureLock): string => `set local lock_timeout = ${lockTimeoutMs}`

/**
 * From now on every committed change of the table is an event `<entity>.created`, `.updated` or `.deleted` (or of a rule's type)
 * with subject `<entity>/<key>`, in the writer's own transaction. An update that changes no captured column makes none. Takes the
 * context from the settings `evt.tenant`, `evt.correlation_id`, `evt.causation_id`, `evt.traceparent`, `evt.user_id` and
 * `evt.session_id`. Replaces the table's earlier capture; returns the SQL that was run. To be repeated after columns were added or
 * renamed; PostgreSQL refuses to drop a captured one. Throws `usage` for options that do not fit the table, `timeout` when the table
 * was not free in time.
 */
export async function addCapture(
  store: Store,
  options: CaptureOptions,
  change: CaptureChange = {},
): Promise<readonly string[]> {
  return store.transaction(async (sql) => {
    const config = await planned(sql, options)
    const statements = captureStatements(config)
    await sql.query(boundLock(change))
    for (const statement of statements) await sql.query(statement)
    const { schema, table } = config.shape
    await sql.query(
      `insert into evt.captures (table_schema, table_name, entity, mode, columns, options) values ($1, $2, $3, $4, $5, $6)
       on conflict (table_schema, table_name) do update set
         entity = excluded.entity, mode = excluded.mode, columns = excluded.columns, options = excluded.options`,
      [
        schema,
        table,
        config.entity,
        config.mode,
        config.shape.columns.map((column) => column.name),
        JSON.stringify(options),
      ],
    )
    await change.audit?.(sql, 1)
    return statements
  })
}

/** The SQL that `addCapture` would run. Changes nothing; throws what `addCapture` throws for wrong options. */
export async function captureSql(store: Store, options: CaptureOptions): Promise<readonly string[]> {
  return store.transaction(async (sql) => captureStatements(await planned(sql, options)))
}

async function planned(sql: SqlExecutor, options: CaptureOptions) {
  const shape = await readTableShape(sql, options.table)
  await assertCapturable(sql, options.table, shape)
  const config = configureCapture(options, shape)
  for (const rule of config.rules) await checkRule(sql, rule)
  assertSealed(config, await readSealed(sql, capturedTypes(config)))
  if (config.retentionClass === undefined) return { ...config, retentionClass: await sharedClass(sql, config) }
  const { rows } = await sql.query('select class from evt.classes order by class')
  const classes = rows.map((row) => String(row.class))
  if (classes.includes(config.retentionClass)) return config
  throw new EvtError(
    'usage',
    `cannot capture ${options.table} in class ${config.retentionClass}: there is no such class`,
    {
      hint: `one of ${classes.join(', ')}`,
    },
  )
}

/** The class of all its events when they share one: then each write is spared the question. */
async function sharedClass(sql: SqlExecutor, config: CaptureConfig): Promise<string | undefined> {
  const { rows } = await sql.query('select distinct evt.class_of(type) as class from unnest($1::text[]) type', [
    capturedTypes(config),
  ])
  return rows.length === 1 ? String(rows[0]?.class) : undefined
}

/** A value that the column cannot hold would fail every write of the application. */
async function checkRule(sql: SqlExecutor, { when, type, column }: CaptureConfig['rules'][number]): Promise<void> {
  for (const value of [when.from, when.to]) {
    if (value === undefined || value === null) continue
    await sql.query('savepoint rule')
    try {
      await sql.query(`select $1::text::${column.type}`, [String(value)])
    } catch (cause) {
      await sql.query('rollback to savepoint rule')
      throw new EvtError('usage', `cannot derive ${type}: ${column.name} is ${column.type}, which '${value}' is not`, {
        hint: "give a value as the column has it, such as 'is_active=false:user.suspended'",
        cause,
      })
    }
    await sql.query('release savepoint rule')
  }
}

/** Events that were captured stay. False when the table was not captured; a table that is gone is forgotten. */
export async function removeCapture(store: Store, table: string, change: CaptureChange = {}): Promise<boolean> {
  return store.transaction(async (sql) => {
    const found = await findCapture(sql, table)
    if (!found) return false
    await sql.query(boundLock(change))
    for (const statement of dropStatements(found.schema, found.table, found.exists ? 'table' : 'no-table')) {
      await sql.query(statement)
    }
    await sql.query('delete from evt.captures where table_schema = $1 and table_name = $2', [found.schema, found.table])
    await change.audit?.(sql, 1)
    return true
  })
}

async function findCapture(sql: SqlExecutor, table: string) {
  const found = sql.query(
    `select c.table_schema, c.table_name, to_regclass(format('%I.%I', c.table_schema, c.table_name)) is not null as exists
     from evt.captures c cross join parse_ident($1) as parts
     where case cardinality(parts)
       when 1 then c.table_name = parts[1] and (to_regclass($1) is null
         or to_regclass($1) = to_regclass(format('%I.%I', c.table_schema, c.table_name)))
       else c.table_schema = parts[1] and c.table_name = parts[2] end`,
    [table],
  )
  const { rows } = await found.catch((error: unknown) => {
    throw noTableName(error, table)
  })
  if (rows.length > 1) {
    throw new EvtError('usage', `cannot tell which ${table}: several schemas have it`, {
      hint: `write ${rows.map((row) => `${row.table_schema}.${row.table_name}`).join(' or ')}`,
    })
  }
  const [row] = rows
  return row && { schema: String(row.table_schema), table: String(row.table_name), exists: Boolean(row.exists) }
}

/** All captures of this database, by schema and table. */
export async function listCaptures(store: Store): Promise<readonly Capture[]> {
  const { rows } = await store.query(listQuery, [operations.map(triggerOf)])
  return rows.map((row) => ({
    schema: String(row.table_schema),
    table: String(row.table_name),
    entity: String(row.entity),
    mode: row.mode === 'statement' ? 'statement' : 'row',
    options: row.options as CaptureOptions,
    createdAt: row.created_at as Date,
    state: stateOf(row),
  }))
}

function stateOf(row: Readonly<Record<string, unknown>>): Capture['state'] {
  if (Number(row.triggers) < operations.length) return 'missing'
  if (Number(row.enabled) < operations.length) return 'disabled'
  return row.same_columns ? 'active' : 'stale'
}

const listQuery = `
  select c.*, t.triggers, t.enabled, c.columns = a.names as same_columns
  from evt.captures c
  cross join lateral (select to_regclass(format('%I.%I', c.table_schema, c.table_name)) as oid) r
  cross join lateral (
    select count(*) as triggers, count(*) filter (where tgenabled in ('O', 'A')) as enabled
    from pg_trigger where tgrelid = r.oid and tgname = any ($1)
  ) t
  cross join lateral (
    select array_agg(attname::text order by attnum) as names
    from pg_attribute where attrelid = r.oid and attnum > 0 and not attisdropped and attgenerated <> 'v'
  ) a
  order by 1, 2`
