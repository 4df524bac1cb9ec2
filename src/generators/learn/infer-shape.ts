import { snakeCase } from '../snake-case.ts'
import type { FieldStats, Format } from './field-stats.ts'

/** What a contract says of values that looked like these. */
export type Inferred =
  | { readonly kind: 'object'; readonly fields: readonly InferredField[] }
  | { readonly kind: 'record'; readonly value: Inferred }
  | { readonly kind: 'array'; readonly item: Inferred }
  | { readonly kind: 'string'; readonly format: Format | undefined }
  | { readonly kind: 'enum'; readonly values: readonly string[] }
  | { readonly kind: 'number'; readonly integer: boolean; readonly min?: number; readonly max?: number }
  | { readonly kind: 'boolean' | 'null' | 'unknown' }
  | { readonly kind: 'nullable'; readonly of: Inferred }
  | { readonly kind: 'union'; readonly of: readonly Inferred[] }

export interface InferredField {
  readonly name: string
  readonly value: Inferred
  readonly optional: boolean
  readonly sensitive: boolean
}

/** As narrow as what was seen allows, and wide enough for what will come: few texts that come often are a choice, numbers are rounded up. */
export function inferShape(stats: FieldStats, name = ''): Inferred {
  const { texts, numbers, items, fields, booleans, nulls } = stats
  const options: Inferred[] = []
  if (fields) options.push(ofObject(fields))
  if (items) options.push({ kind: 'array', item: inferShape(items.stats, name) })
  if (texts) options.push(ofText(texts, name))
  if (numbers) options.push(ofNumber(numbers, name))
  if (booleans.yes + booleans.no > 0) options.push({ kind: 'boolean' })
  const [first, ...more] = options
  if (!first) return nulls > 0 ? { kind: 'nullable', of: { kind: 'unknown' } } : { kind: 'unknown' }
  const inferred: Inferred = more.length > 0 ? { kind: 'union', of: options } : first
  return nulls > 0 ? { kind: 'nullable', of: inferred } : inferred
}

/** Keys that hardly ever come twice are data, no fields. */
const mostFields = 24

function ofObject({ count, members }: NonNullable<FieldStats['fields']>): Inferred {
  // No object literal can have it.
  const all = [...members].filter(([name]) => name !== '__proto__')
  const often = all.reduce((sum, [, { seen }]) => sum + seen, 0) / Math.max(1, all.length * count)
  if (all.length > mostFields && often < 0.3)
    return { kind: 'record', value: ofValues(all.map(([, stats]) => inferShape(stats))) }
  return {
    kind: 'object',
    fields: all.map(([name, stats]) => ({
      name,
      value: inferShape(stats, name),
      optional: stats.seen < count,
      sensitive: stats.isSensitive,
    })),
  }
}

/** Of a map whose keys come once: what is true of all values, and no bounds from so few of each. */
function ofValues(values: readonly Inferred[]): Inferred {
  const [first = { kind: 'unknown' }, ...others] = values
  if (values.every(({ kind }) => kind === 'number'))
    return { kind: 'number', integer: values.every((one) => one.kind === 'number' && one.integer) }
  const text = JSON.stringify(first)
  return others.every((one) => JSON.stringify(one) === text) ? first : { kind: 'unknown' }
}

const mostChoices = 12
const fewestOfEach = 15

/** Texts that come again and again. */
export function choicesOf({
  count,
  values,
}: NonNullable<FieldStats['texts']>): ReadonlyMap<string, number> | undefined {
  if (!values || values.size > mostChoices || count < 3 * values.size || values.has('')) return undefined
  return values
}

/** There will be others. */
const isId = (name: string): boolean => /(^|_)ids?$/.test(snakeCase(name))

function ofText(texts: NonNullable<FieldStats['texts']>, name: string): Inferred {
  const [format] = texts.formats
  if (format) return { kind: 'string', format }
  const seen = isId(name) ? undefined : choicesOf(texts)
  // What a contract forbids is more than what a drawing leaves out.
  const choices = seen && seen.size > 1 && texts.count >= fewestOfEach * seen.size ? seen : undefined
  const isName = [...(choices?.keys() ?? [])].every((value) => /^[\w.:/-]{1,40}$/.test(value))
  return choices && isName
    ? { kind: 'enum', values: [...choices.keys()].sort() }
    : { kind: 'string', format: undefined }
}

function ofNumber({ integers, least, most }: NonNullable<FieldStats['numbers']>, name: string): Inferred {
  if (isId(name)) return { kind: 'number', integer: integers, ...(least >= 0 ? { min: 0 } : {}) }
  return { kind: 'number', integer: integers, min: least >= 0 ? 0 : -roundUp(-least), max: roundUp(most) }
}

/** The next of 1, 2, 5, 10, 20, … with room above what was seen. */
function roundUp(value: number): number {
  if (value <= 0) return 0
  for (let unit = 10 ** Math.floor(Math.log10(value)); ; unit *= 10) {
    for (const step of [1, 2, 5]) if (step * unit >= value) return Number((step * unit).toPrecision(6))
  }
}
