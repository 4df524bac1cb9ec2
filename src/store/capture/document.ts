// SQL expressions over a row variable (`new`, `old`, or an alias of a transition table): the event's data and subject.
import pg from 'pg'
import type { CaptureConfig } from './config.ts'
import type { Column } from './table-shape.ts'

export const ident = pg.escapeIdentifier
export const literal = pg.escapeLiteral

/** A function call takes 100 arguments at most: 50 pairs. */
const pairsPerCall = 50

export const columnOf = (row: string, column: Column): string => `${row}.${ident(column.name)}`

/**
 * `{"user_id": …, "user_data": {…}, "changes": […]}` as json. `changes` is an SQL expression of type text[]; `omit` gives the
 * same without the columns, for rows that are too large.
 */
export function documentOf(config: CaptureConfig, row: string, changes: string | undefined): string {
  const columns = config.columns.map((column): [string, string] => [
    config.nameOf(column),
    jsonValueOf(config, row, column),
  ])
  return jsonObject([...headOf(config, row), [config.dataKey, jsonObject(columns)], ...tailOf(changes)])
}

/** Instead of `documentOf` for a row above the size limit of an event: says how large it would have been. */
export function omittedDocumentOf(
  config: CaptureConfig,
  row: string,
  changes: string | undefined,
  size: string,
): string {
  return jsonObject([
    ...headOf(config, row),
    [config.dataKey, 'null::json'],
    ...tailOf(changes),
    ['omitted_bytes', size],
  ])
}

/** `user/17`; several columns of a key are joined by slashes. */
export function subjectOf(config: CaptureConfig, row: string): string {
  return [literal(config.entity), ...config.key.map((column) => `${columnOf(row, column)}::text`)].join(" || '/' || ")
}

function headOf(config: CaptureConfig, row: string): [string, string][] {
  const key = config.key.map((column): [string, string] => [config.nameOf(column), jsonValueOf(config, row, column)])
  const id = key.length === 1 && key[0] ? key[0][1] : jsonObject(key)
  const lifted = config.lifted.map((column): [string, string] => [
    config.nameOf(column),
    jsonValueOf(config, row, column),
  ])
  return [[`${config.entity.replaceAll('.', '_')}_id`, id], ...lifted]
}

function tailOf(changes: string | undefined): [string, string][] {
  return changes ? [['changes', changes]] : []
}

/** Times in UTC whatever the writer's session says; everything else as PostgreSQL writes it in JSON. */
function jsonValueOf(config: CaptureConfig, row: string, column: Column): string {
  const value = columnOf(row, column)
  if (config.masked.has(column.name)) return `case when ${value} is not null then '***' end`
  if (column.baseType !== 'timestamptz') return value
  return `case when isfinite(${value}) then to_char(${value} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') else ${value}::text end`
}

function jsonObject(pairs: readonly (readonly [string, string])[]): string {
  const calls: string[] = []
  for (let start = 0; start < pairs.length; start += pairsPerCall) {
    const some = pairs.slice(start, start + pairsPerCall)
    calls.push(`json_build_object(${some.map(([name, value]) => `${literal(name)}, ${value}`).join(', ')})`)
  }
  if (calls.length <= 1) return calls[0] ?? `'{}'::json`
  const inner = calls.map((call) => `substr(left(${call}::text, -1), 2)`)
  return `('{' || ${inner.join(` || ', ' || `)} || '}')::json`
}

/** True when the column's value is another one; a type without equality is compared by its text. */
export function differs(column: Column, before = 'old', after = 'new'): string {
  const cast = column.comparable ? '' : '::text'
  return `${columnOf(before, column)}${cast} is distinct from ${columnOf(after, column)}${cast}`
}

/** The names of the changed columns, as text[]. */
export function changesOf(config: CaptureConfig, before = 'old', after = 'new'): string {
  const names = config.columns.map(
    (column) => `case when ${differs(column, before, after)} then ${literal(config.nameOf(column))} end`,
  )
  return `array_remove(array[${names.join(', ')}]::text[], null)`
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
