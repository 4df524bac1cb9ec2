import { EvtError } from '../core/errors.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import { type CaptureConfig, type CaptureOptions, configureCapture } from './capture/config.ts'
import { readTableShape } from './capture/table-shape.ts'
import type { Store } from './connection.ts'

/** What one version of a type encrypts: paths in its data, `[]` for every element of an array. */
export interface SealedVersion {
  readonly type: string
  readonly version: number
  readonly paths: readonly (readonly string[])[]
}

/**
 * From now on the store refuses what SQL would write there in plain text. All versions that are known are given, also those that encrypt
 * nothing. Throws PostgreSQL's `55P03` when the tables were not free for a moment.
 */
export async function writeSealed(sql: SqlExecutor, known: readonly SealedVersion[]): Promise<void> {
  await sql.query('select evt.set_sealed($1::json)', [JSON.stringify(known)])
}

/** Of some types, as the store knows them. */
export async function readSealed(sql: SqlExecutor, types: readonly string[]): Promise<readonly SealedVersion[]> {
  const { rows } = await sql.query(
    `select type, version, json_agg(path order by path) as paths from evt.sealed_fields where type = any($1::text[]) group by 1, 2`,
    [types],
  )
  return rows as unknown as readonly SealedVersion[]
}

/** What a capture's triggers write: types of version 1. */
export function capturedTypes({ entity, rules }: Pick<CaptureConfig, 'entity' | 'rules'>): readonly string[] {
  return [...['created', 'updated', 'deleted'].map((verb) => `${entity}.${verb}`), ...rules.map(({ type }) => type)]
}

/** Throws `usage` for a capture that would write in plain text what a contract encrypts: a trigger has no key. */
export function assertSealed(config: CaptureConfig, sealed: readonly SealedVersion[]): void {
  const types = capturedTypes(config)
  for (const { type, version, paths } of sealed) {
    if (version !== 1 || !types.includes(type)) continue
    for (const path of paths) {
      const column = shownColumn(config, path)
      if (column === undefined) continue
      const { schema, table } = config.shape
      throw new EvtError(
        'usage',
        `cannot capture ${schema}.${table}: the contract of ${type} encrypts data.${path.join('.')}, and a trigger has no key`,
        { hint: `hide it in the events, and let handlers look it up: --mask ${column} or --exclude ${column}` },
      )
    }
  }
}

/** The column whose value would stand at the path; undefined where none does. */
function shownColumn(config: CaptureConfig, path: readonly string[]): string | undefined {
  const shown = config.columns.filter(({ name }) => !config.masked.has(name))
  const [first, second] = path
  if (first === config.dataKey)
    return (second === undefined ? shown : shown.filter((one) => config.nameOf(one) === second))[0]?.name
  if (first === `${config.entity.replaceAll('.', '_')}_id`) return config.key[0]?.name
  return config.lifted.find((one) => config.nameOf(one) === first)?.name
}

/** As `assertSealed`, for all captures of the store. */
export async function assertCapturesSealed(store: Store, sealed: readonly SealedVersion[]): Promise<void> {
  const { rows } = await store.query('select options from evt.captures order by table_schema, table_name')
  for (const { options } of rows) {
    const config = await configOf(store, options as CaptureOptions)
    if (config) assertSealed(config, sealed)
  }
}

/** Undefined for one whose table is gone or has changed: `evt capture list` says so. */
async function configOf(sql: SqlExecutor, options: CaptureOptions): Promise<CaptureConfig | undefined> {
  try {
    return configureCapture(options, await readTableShape(sql, options.table))
  } catch (error) {
    if (error instanceof EvtError && error.code === 'usage') return undefined
    throw error
  }
}
