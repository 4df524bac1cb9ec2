// SQL expressions over a row variable (`new`, `old`, or an alias of a transition table): the event's data and subject. JSON is
// concatenated as text, which costs a writer half of what json_build_object does, and the checksum needs the text anyway.
import pg from 'pg'
import type { CaptureConfig } from './config.ts'
import type { Column } from './table-shape.ts'

export const ident = pg.escapeIdentifier
export const literal = pg.escapeLiteral

/** A function call takes 100 arguments at most. */
const argumentsPerCall = 90

export const columnOf = (row: string, column: Column): string => `${row}.${ident(column.name)}`

/** `{"user_id":…,"user_data":{…},"changes":[…]}` as text. `changes` is an SQL expression: a JSON array as text. */
export function documentOf(config: CaptureConfig, row: string, changes: string | undefined): string {
  return concat(objectOf([...headOf(config, row), [config.dataKey, columnsOf(config, row)], ...tailOf(changes)]))
}

/** A whole row is one call: a third of the work, and columns that are added later appear by themselves. */
function columnsOf(config: CaptureConfig, row: string): Pieces {
  if (config.wholeRow) return [`to_json(${row})`]
  return objectOf(config.columns.map((column): Field => [config.nameOf(column), jsonValueOf(config, row, column)]))
}

/** Instead of `documentOf` for a row above the size limit of an event: without its columns, and saying how many bytes they were. */
export function omittedDocumentOf(
  config: CaptureConfig,
  row: string,
  changes: string | undefined,
  size: string,
): string {
  const tail: readonly Field[] = [...tailOf(changes), ['omitted_bytes', [size]]]
  return concat(objectOf([...headOf(config, row), [config.dataKey, ["'null'"]], ...tail]))
}

/** `user/17`; several columns of a key are joined by slashes. */
export function subjectOf(config: CaptureConfig, row: string): string {
  return [literal(config.entity), ...config.key.map((column) => `${columnOf(row, column)}::text`)].join(" || '/' || ")
}

/** Pieces of text, each an SQL expression that is never NULL. */
type Pieces = readonly string[]
type Field = readonly [name: string, value: Pieces]

function headOf(config: CaptureConfig, row: string): readonly Field[] {
  const fieldsOf = (columns: readonly Column[]) =>
    columns.map((column): Field => [config.nameOf(column), jsonValueOf(config, row, column)])
  const [only, ...others] = fieldsOf(config.key)
  const id = only && others.length === 0 ? only[1] : objectOf(fieldsOf(config.key))
  return [[`${config.entity.replaceAll('.', '_')}_id`, id], ...fieldsOf(config.lifted)]
}

function tailOf(changes: string | undefined): readonly Field[] {
  return changes ? [['changes', [changes]]] : []
}

/** As PostgreSQL writes it in JSON: times are ISO 8601 with the offset of the writer's session. */
function jsonValueOf(config: CaptureConfig, row: string, column: Column): Pieces {
  const value = columnOf(row, column)
  if (config.masked.has(column.name)) return [`case when ${value} is null then 'null' else '"***"' end`]
  return [`coalesce(to_json(${value})::text, 'null')`]
}

function objectOf(fields: readonly Field[]): Pieces {
  const pieces = fields.flatMap(([name, value], i) => [literal(`${i ? ',' : ''}${JSON.stringify(name)}:`), ...value])
  return ["'{'", ...pieces, "'}'"]
}

function concat(pieces: Pieces): string {
  const merged = mergeLiterals(pieces)
  const calls: string[] = []
  for (let start = 0; start < merged.length; start += argumentsPerCall) {
    calls.push(`concat(${merged.slice(start, start + argumentsPerCall).join(', ')})`)
  }
  return calls.join(' || ')
}

/** Neighbouring constants become one: fewer arguments, less work a row. */
function mergeLiterals(pieces: Pieces): Pieces {
  const merged: string[] = []
  for (const piece of pieces) {
    const last = merged.at(-1)
    if (last && isPlain(last) && isPlain(piece)) merged[merged.length - 1] = `${last.slice(0, -1)}${piece.slice(1)}`
    else merged.push(piece)
  }
  return merged
}

/** A constant without escapes; `E'…'` is left alone. */
const isPlain = (piece: string): boolean => /^'(?:[^']|'')*'$/.test(piece)

/** True when the column's value is another one; a type without equality is compared by its text. */
export function differs(column: Column, before = 'old', after = 'new'): string {
  const cast = column.comparable ? '' : '::text'
  return `${columnOf(before, column)}${cast} is distinct from ${columnOf(after, column)}${cast}`
}

/** The names of the changed columns: a JSON array as text. */
export function changesOf(config: CaptureConfig, before = 'old', after = 'new'): string {
  const names = config.columns.map(
    (column) =>
      `case when ${differs(column, before, after)} then ${literal(JSON.stringify(config.nameOf(column)))} end`,
  )
  const calls: string[] = []
  for (let start = 0; start < names.length; start += argumentsPerCall) {
    calls.push(`concat_ws(',', ${names.slice(start, start + argumentsPerCall).join(', ')})`)
  }
  const list =
    calls.length === 1 ? calls[0] : `concat_ws(',', ${calls.map((call) => `nullif(${call}, '')`).join(', ')})`
  return `'[' || ${list} || ']'`
}

/** The type of an update: the first rule that fits, else `<entity>.updated`. */
export function updateTypeOf(config: CaptureConfig, before = 'old', after = 'new'): string {
  const otherwise = literal(`${config.entity}.updated`)
  if (config.rules.length === 0) return otherwise
  const cases = config.rules.map(({ column, when, type }) => {
    const is = (row: string, value: unknown) =>
      `${textOf(row, column)} is not distinct from ${valueLiteral(column, value)}`
    const was = when.from === undefined ? `not (${is(before, when.to)})` : is(before, when.from)
    return `when ${was} and ${is(after, when.to)} then ${literal(type)}`
  })
  return `case ${cases.join(' ')} else ${otherwise} end`
}

function textOf(row: string, column: Column): string {
  return column.comparable ? columnOf(row, column) : `${columnOf(row, column)}::text`
}

function valueLiteral(column: Column, value: unknown): string {
  if (value === null) return 'null'
  return `${literal(String(value))}::${column.comparable ? column.type : 'text'}`
}
