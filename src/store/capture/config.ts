import { EvtError } from '../../core/errors.ts'
import { isEventType } from '../../core/pattern.ts'
import type { Column, TableShape } from './table-shape.ts'

/** A change of one column that has a name of its own: `is_active` goes to false → `user.suspended`. */
export interface CaptureRule {
  readonly when: {
    readonly column: string
    /** Default: any other value. Written as text, as PostgreSQL reads it; null is NULL. */
    readonly from?: string | number | boolean | null
    readonly to: string | number | boolean | null
  }
  /** Instead of `<entity>.updated`; of several rules that fit, the first one counts. */
  readonly type: string
}

export interface CaptureOptions {
  /** As SQL writes it: `users`, `shop.orders`, `"Odd Name"`. */
  readonly table: string
  /** Default: the table's name in the singular. */
  readonly entity?: string
  /** What identifies a row, as in `user/<id>`; default: the primary key. */
  readonly subject?: readonly string[]
  /** `row` costs single-row writers least, `statement` bulk writers. `auto` (default) is `row`. */
  readonly mode?: 'row' | 'statement' | 'auto'
  /** Not captured at all: a change of nothing else makes no event. */
  readonly exclude?: readonly string[]
  /** Captured as `***`. */
  readonly mask?: readonly string[]
  /** Column → name in the event. */
  readonly rename?: Readonly<Record<string, string>>
  /** Columns that also stand beside `<entity>_id`, as `user_id` does in a document's events. */
  readonly lift?: readonly string[]
  readonly rules?: readonly CaptureRule[]
  /** Where the columns stand in `data`; default `<entity>_data`. */
  readonly dataKey?: string
  /** Also NOTIFY each event there (off by default: it costs every writer). */
  readonly channel?: string
  /** Retention class; default: that of the events' types. */
  readonly class?: string
}

/** Options after defaults and validation against the table. */
export interface CaptureConfig {
  readonly shape: TableShape
  readonly entity: string
  readonly mode: 'row' | 'statement'
  /** Captured, in the table's order. */
  readonly columns: readonly Column[]
  /** Every column as it is, under its own name. */
  readonly wholeRow: boolean
  readonly key: readonly Column[]
  readonly masked: ReadonlySet<string>
  readonly lifted: readonly Column[]
  readonly rules: readonly (CaptureRule & { readonly column: Column })[]
  readonly dataKey: string
  readonly channel: string | undefined
  /** Undefined: each event has that of its type. */
  readonly retentionClass: string | undefined
  nameOf(column: Column): string
}

/** Throws `usage` naming what the table does not have or what cannot go together. */
export function configureCapture(options: CaptureOptions, shape: TableShape): CaptureConfig {
  const find = columnFinder(shape)
  const excluded = new Set((options.exclude ?? []).map((name) => find(name, '--exclude').name))
  const masked = new Set((options.mask ?? []).map((name) => find(name, '--mask').name))
  const key = (options.subject ?? shape.primaryKey).map((name) => find(name, '--subject'))
  const lifted = (options.lift ?? []).map((name) => find(name, '--lift'))
  const entity = options.entity ?? entityOf(shape.table)
  assertName(entity, 'entity')
  assertKey(shape, key, [...excluded, ...masked])
  assertVisible(shape, lifted, [...excluded, ...masked])
  const rename = new Map(Object.entries(options.rename ?? {}).map(([from, to]) => [find(from, '--rename').name, to]))
  return {
    shape,
    entity,
    mode: chooseMode(options.mode ?? 'auto', shape, key),
    columns: shape.columns.filter((column) => !excluded.has(column.name)),
    wholeRow: !shape.hasVirtualColumns && excluded.size + masked.size + rename.size === 0,
    key,
    masked,
    lifted,
    rules: (options.rules ?? []).map((rule) => ({ ...rule, column: ruleColumn(rule, find, excluded) })),
    dataKey: options.dataKey ?? `${entity.replaceAll('.', '_')}_data`,
    channel: options.channel,
    retentionClass: options.class,
    nameOf: (column) => rename.get(column.name) ?? column.name,
  }
}

/** `users` → `user`, `categories` → `category`, `addresses` → `address`; what is no plural stays. */
export function entityOf(table: string): string {
  const name = table
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, '_')
    .replace(/^[^a-z]+|_+$/g, '')
  if (/[^aeiou]ies$/.test(name)) return name.replace(/ies$/, 'y')
  if (/(ss|x|ch|sh|z)es$/.test(name)) return name.replace(/es$/, '')
  if (/(ss|us|is)$/.test(name)) return name
  return name.replace(/s$/, '') || 'row'
}

type ColumnFinder = (name: string, where: string) => Column

function columnFinder(shape: TableShape): ColumnFinder {
  return (name, where) => {
    const column = shape.columns.find((candidate) => candidate.name === name)
    if (column) return column
    throw refuse(shape, `${where} ${name}: there is no such column`, `its columns: ${namesOf(shape.columns)}`)
  }
}

function ruleColumn(rule: CaptureRule, find: ColumnFinder, excluded: ReadonlySet<string>): Column {
  assertName(rule.type, 'type')
  const column = find(rule.when.column, 'rule on')
  if (!excluded.has(column.name)) return column
  throw new EvtError('usage', `cannot capture ${rule.type}: its column ${column.name} is excluded`, {
    hint: 'mask the column instead: its value is hidden and its changes are seen',
  })
}

function chooseMode(
  mode: 'row' | 'statement' | 'auto',
  shape: TableShape,
  key: readonly Column[],
): 'row' | 'statement' {
  if (mode !== 'statement') return 'row'
  const byRow = 'use --mode row'
  if (shape.partitioned) throw refuse(shape, 'per statement: writes that name a partition would be missed', byRow)
  if (shape.inherits) throw refuse(shape, 'per statement: writes that name its parent would be missed', byRow)
  if (namesOf(key) !== shape.primaryKey.join(', ')) {
    throw refuse(shape, 'per statement: old and new rows are matched by the primary key', byRow)
  }
  return mode
}

function assertKey(shape: TableShape, key: readonly Column[], hidden: readonly string[]): void {
  if (key.length === 0) {
    throw refuse(
      shape,
      'it has no primary key',
      `name what identifies a row: --subject ${shape.columns[0]?.name ?? 'id'}`,
    )
  }
  assertVisible(shape, key, hidden)
}

function assertVisible(shape: TableShape, columns: readonly Column[], hidden: readonly string[]): void {
  const bad = columns.find((column) => hidden.includes(column.name))
  if (bad)
    throw refuse(shape, `${bad.name} is shown in the event, so it cannot be excluded or masked`, 'name another subject')
}

/** What an event's type may be is wider; these can be written without quotes wherever a type is named. */
function assertName(name: string, what: 'entity' | 'type'): void {
  const type = what === 'entity' ? `${name}.created` : name
  if (/^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$/.test(name)) {
    if (isEventType(type)) return
    throw new EvtError('usage', `cannot use ${name} as ${what}: its events' types are longer than 255 characters`)
  }
  throw new EvtError('usage', `cannot use ${JSON.stringify(name)} as ${what}: names are lower-case words with dots`, {
    hint: 'for example user, or user.suspended',
  })
}

function refuse(shape: TableShape, reason: string, hint: string): EvtError {
  return new EvtError('usage', `cannot capture ${shape.schema}.${shape.table}: ${reason}`, { hint })
}

function namesOf(columns: readonly Column[]): string {
  return columns.map((column) => column.name).join(', ')
}
