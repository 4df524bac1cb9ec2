import { createHash } from 'node:crypto'
import type { CaptureConfig } from './config.ts'
import { ident, literal } from './document.ts'
import { changedCondition, rowBodies } from './row-triggers.ts'
import { statementBodies } from './statement-triggers.ts'

export const operations = ['insert', 'update', 'delete'] as const
export type Operation = (typeof operations)[number]

/** In statement mode only: a disabled trigger on the captured columns, so that none of them is dropped unseen. */
export const guardTrigger = 'evt_capture_columns'
export const triggerOf = (operation: Operation): string => `evt_capture_${operation}`

/** A name below 63 characters, whatever the table is called. */
export function functionOf(schema: string, table: string, operation: Operation): string {
  const words = `${schema}_${table}`
    .replace(/[^A-Za-z0-9_]+/g, '_')
    .toLowerCase()
    .slice(0, 32)
  const hash = createHash('sha256').update(`${schema}\0${table}`).digest('hex').slice(0, 8)
  return `evt.${ident(`capture_${words}_${hash}_${operation}`)}`
}

/** Everything that makes this capture, to be run in one transaction; also replaces an earlier one of the same table. */
export function captureStatements(config: CaptureConfig): readonly string[] {
  const { schema, table } = config.shape
  const bodies = config.mode === 'row' ? rowBodies(config) : statementBodies(config)
  return [
    ...dropTriggers(schema, table),
    ...operations.map((operation) => createFunction(config, operation, bodies[operation])),
    ...operations.map((operation) => createTrigger(config, operation)),
    ...(config.mode === 'statement' ? createGuard(config) : []),
  ]
}

export function dropStatements(schema: string, table: string, exists: 'table' | 'no-table'): readonly string[] {
  return [
    ...(exists === 'table' ? dropTriggers(schema, table) : []),
    ...operations.map((operation) => `drop function if exists ${functionOf(schema, table, operation)}()`),
  ]
}

function dropTriggers(schema: string, table: string): readonly string[] {
  const names = [...operations.map(triggerOf), guardTrigger]
  return names.map((name) => `drop trigger if exists ${name} on ${ident(schema)}.${ident(table)}`)
}

/**
 * Runs as its owner, so that writers of the table need no rights in evt; the path is fixed, so that they cannot put functions
 * of theirs into it. In statement mode nested loops are off: the plan is made for the first statement's row count and kept.
 * Where one is needed all the same its cost looks enormous, so the server would compile it, a second for each statement.
 */
function createFunction(config: CaptureConfig, operation: Operation, body: string): string {
  const path = 'set search_path = pg_catalog, pg_temp'
  const joins = config.mode === 'statement' && operation === 'update' ? ' set enable_nestloop = off set jit = off' : ''
  const name = functionOf(config.shape.schema, config.shape.table, operation)
  return `create or replace function ${name}() returns trigger language plpgsql security definer ${path}${joins} as ${literal(body)}`
}

function createTrigger(config: CaptureConfig, operation: Operation): string {
  const { schema, table } = config.shape
  const head = `create trigger ${triggerOf(operation)} after ${operation} on ${ident(schema)}.${ident(table)}`
  const call = `execute function ${functionOf(schema, table, operation)}()`
  if (config.mode === 'statement') return `${head} ${transitionTables[operation]} for each statement ${call}`
  const condition = operation === 'update' ? `when (${changedCondition(config)}) ` : ''
  return `${head} for each row ${condition}${call}`
}

const transitionTables: Readonly<Record<Operation, string>> = {
  insert: 'referencing new table as new_rows',
  update: 'referencing old table as old_rows new table as new_rows',
  delete: 'referencing old table as old_rows',
}

function createGuard(config: CaptureConfig): readonly string[] {
  const { schema, table } = config.shape
  const place = `${ident(schema)}.${ident(table)}`
  const columns = config.columns.map((column) => ident(column.name)).join(', ')
  const call = `execute function ${functionOf(schema, table, 'update')}()`
  return [
    `create trigger ${guardTrigger} after update of ${columns} on ${place} for each row when (false) ${call}`,
    `alter table ${place} disable trigger ${guardTrigger}`,
  ]
}
