import { z } from 'zod'
import { sensitive } from '../../core/json-shape.ts'
import type { Inferred } from './infer-shape.ts'

/** The zod schema that `formatSchema` writes. */
export function schemaOf(inferred: Inferred): z.ZodType {
  switch (inferred.kind) {
    case 'object':
      return z.object(
        Object.fromEntries(
          inferred.fields.map(({ name, value, optional, sensitive: isSensitive }) => {
            const schema = isSensitive ? sensitive(schemaOf(value)) : schemaOf(value)
            return [name, optional ? schema.optional() : schema]
          }),
        ),
      )
    case 'record':
      return z.record(z.string(), schemaOf(inferred.value))
    case 'array':
      return z.array(schemaOf(inferred.item))
    case 'enum':
      return z.enum(inferred.values as [string, ...string[]])
    case 'string':
      return textSchema(inferred.format)
    case 'number': {
      const { integer, min = -Infinity, max = Infinity } = inferred
      const number = integer ? z.int() : z.number()
      const least = min === -Infinity ? number : number.min(min)
      return max === Infinity ? least : least.max(max)
    }
    case 'boolean':
      return z.boolean()
    case 'null':
      return z.null()
    case 'nullable':
      return schemaOf(inferred.of).nullable()
    case 'union':
      return z.union(inferred.of.map(schemaOf) as [z.ZodType, ...z.ZodType[]])
    case 'unknown':
      return z.unknown()
  }
}

function textSchema(format: (Inferred & { kind: 'string' })['format']): z.ZodType {
  switch (format) {
    case 'uuid':
      return z.guid()
    case 'email':
      return z.email()
    case 'date-time':
      return z.iso.datetime({ offset: true })
    case 'date':
      return z.iso.date()
    case 'ipv4':
      return z.ipv4()
    case 'uri':
      return z.url()
    case undefined:
      return z.string()
  }
}

/** The same as TypeScript, indented by `depth` levels. */
export function formatSchema(inferred: Inferred, depth = 0): string {
  switch (inferred.kind) {
    case 'object':
      return formatObject(inferred, depth)
    case 'record':
      return `z.record(z.string(), ${formatSchema(inferred.value, depth)})`
    case 'array':
      return `z.array(${formatSchema(inferred.item, depth)})`
    case 'enum':
      return `z.enum([${inferred.values.map(quoted).join(', ')}])`
    case 'string':
      return texts[inferred.format ?? 'any']
    case 'number': {
      const { integer, min, max } = inferred
      const bounds = `${min === undefined ? '' : `.min(${min})`}${max === undefined ? '' : `.max(${max})`}`
      return `${integer ? 'z.int()' : 'z.number()'}${bounds}`
    }
    case 'nullable':
      return `${formatSchema(inferred.of, depth)}.nullable()`
    case 'union':
      return `z.union([${inferred.of.map((one) => formatSchema(one, depth)).join(', ')}])`
    default:
      return `z.${inferred.kind}()`
  }
}

const texts = {
  uuid: 'z.guid()',
  email: 'z.email()',
  'date-time': 'z.iso.datetime({ offset: true })',
  date: 'z.iso.date()',
  ipv4: 'z.ipv4()',
  uri: 'z.url()',
  any: 'z.string()',
} as const

function formatObject({ fields }: Inferred & { kind: 'object' }, depth: number): string {
  if (fields.length === 0) return 'z.object({})'
  const indent = '  '.repeat(depth + 1)
  const lines = fields.map(({ name, value, optional, sensitive: isSensitive }) => {
    const schema = formatSchema(value, depth + 1)
    const marked = isSensitive ? `sensitive(${schema})` : schema
    return `${indent}${isPlain(name) ? name : quoted(name)}: ${marked}${optional ? '.optional()' : ''},`
  })
  return `z.object({\n${lines.join('\n')}\n${'  '.repeat(depth)}})`
}

const isPlain = (name: string): boolean => /^[A-Za-z_$][\w$]*$/.test(name)

/** Strings of recorded traffic become code: everything that is not plain is escaped. */
export const quoted = (text: string): string =>
  `'${JSON.stringify(text)
    .slice(1, -1)
    .replaceAll('\\"', '"')
    .replaceAll("'", "\\'")
    .replace(/[\u007f-\uffff]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`)}'`
