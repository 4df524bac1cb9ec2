import type { z } from 'zod'

/**
 * What the data of a contract may look like, as a small closed tree: what generators, `--set` and masking read instead
 * of zod's own definitions. It comes from the JSON Schema that zod exports, which is public and stable.
 */
export type Shape =
  | { readonly kind: 'object'; readonly fields: readonly ShapeField[] }
  | { readonly kind: 'array'; readonly item: Shape; readonly min: number; readonly max: number }
  | { readonly kind: 'record'; readonly value: Shape }
  | {
      readonly kind: 'string'
      readonly format?: string
      /** A regular expression of its own, where no format says what it is. */
      readonly pattern?: string
      readonly min: number
      readonly max: number
    }
  | {
      readonly kind: 'number'
      readonly integer: boolean
      readonly min?: number
      readonly max?: number
      readonly step?: number
    }
  | { readonly kind: 'boolean' }
  | { readonly kind: 'null' }
  /** One of these literal values. */
  | { readonly kind: 'choice'; readonly values: readonly (string | number | boolean | null)[] }
  | { readonly kind: 'union'; readonly of: readonly Shape[] }
  | { readonly kind: 'any' }

export interface ShapeField {
  readonly name: string
  readonly shape: Shape
  readonly required: boolean
  /** Marked by `sensitive()`. */
  readonly sensitive: boolean
}

export interface SensitiveOptions {
  /**
   * Stored and sent as AES-256-GCM under a key of the event's subject, or of another one: `'user/{customerId}'`, where braces name a
   * field of the data. When that key is deleted (`evt privacy forget`), handlers get null.
   */
  readonly encrypt?: boolean | string
  /** Shown as a pseudonym, the same for the same value, where evt would show `***` and a pseudonym key is configured. */
  readonly pseudonym?: boolean
}

/**
 * Marks a field as personal or secret: `sensitive(z.email())`. Masked wherever evt shows data. Returns a marked copy; of a field that is
 * encrypted one that may be null, because it was erased. Publishing null there is refused, unless the schema itself allows it.
 */
export function sensitive<S extends z.ZodType>(
  schema: S,
  options: SensitiveOptions & { readonly encrypt: true | string },
): z.ZodNullable<S>
export function sensitive<S extends z.ZodType>(schema: S, options?: SensitiveOptions & { readonly encrypt?: false }): S
export function sensitive<S extends z.ZodType>(
  schema: S,
  { encrypt = false, pseudonym = false }: SensitiveOptions = {},
) {
  const marks = { ...schema.meta(), sensitive: true, ...(pseudonym ? { pseudonym } : {}) }
  if (encrypt === false) return schema.meta(marks) as S
  return schema.nullable().meta({ ...marks, encrypted: encrypt, erasable: !schema.safeParse(null).success })
}

export function shapeOf(schema: z.ZodType): Shape {
  return parseShape(schema.toJSONSchema({ unrepresentable: 'any', cycles: 'ref' }) as JsonSchema)
}

/** Every field below `shape` with its dotted path; items of arrays and records are not entered. */
export function fieldPaths(shape: Shape, prefix: string): { path: string; field: ShapeField }[] {
  if (shape.kind === 'union') return shape.of.flatMap((one) => fieldPaths(one, prefix))
  if (shape.kind !== 'object') return []
  return shape.fields.flatMap((field) => {
    const path = prefix === '' ? field.name : `${prefix}.${field.name}`
    return [{ path, field }, ...fieldPaths(field.shape, path)]
  })
}

/** The part of JSON Schema 2020-12 that zod writes. */
interface JsonSchema {
  readonly type?: string | readonly string[]
  readonly const?: string | number | boolean | null
  readonly enum?: readonly (string | number | boolean | null)[]
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: JsonSchema | boolean
  readonly items?: JsonSchema
  readonly minItems?: number
  readonly maxItems?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly format?: string
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
  readonly multipleOf?: number
  readonly sensitive?: boolean
  readonly erasable?: boolean
}

function parseShape(schema: JsonSchema): Shape {
  if (schema.const !== undefined) return { kind: 'choice', values: [schema.const] }
  if (schema.enum) return { kind: 'choice', values: schema.enum }
  const alternatives = schema.anyOf ?? schema.oneOf
  // Only who erases writes null there.
  if (alternatives?.[0] && schema.erasable) return parseShape(alternatives[0])
  if (alternatives) return { kind: 'union', of: alternatives.map(parseShape) }
  if (typeof schema.type === 'object') {
    const types = schema.erasable ? schema.type.filter((type) => type !== 'null') : schema.type
    return { kind: 'union', of: types.map((type) => parseShape({ ...schema, type })) }
  }
  return parseTyped(schema)
}

function parseTyped(schema: JsonSchema): Shape {
  switch (schema.type) {
    case 'object':
      return parseObject(schema)
    case 'array':
      return {
        kind: 'array',
        item: parseShape(schema.items ?? {}),
        min: schema.minItems ?? 0,
        max: schema.maxItems ?? Infinity,
      }
    case 'string':
      return parseString(schema)
    case 'number':
    case 'integer':
      return parseNumber(schema)
    case 'boolean':
    case 'null':
      return { kind: schema.type }
    default:
      return { kind: 'any' }
  }
}

function parseObject(schema: JsonSchema): Shape {
  const rest = schema.additionalProperties
  if (!schema.properties && typeof rest === 'object') return { kind: 'record', value: parseShape(rest) }
  const required = new Set(schema.required)
  const fields = Object.entries(schema.properties ?? {}).map(([name, field]) => ({
    name,
    shape: parseShape(field),
    required: required.has(name),
    sensitive: field.sensitive === true,
  }))
  return { kind: 'object', fields }
}

function parseString(schema: JsonSchema): Shape {
  const bounds = { min: schema.minLength ?? 0, max: schema.maxLength ?? Infinity }
  if (schema.format !== undefined) return { kind: 'string', format: schema.format, ...bounds }
  return schema.pattern === undefined
    ? { kind: 'string', ...bounds }
    : { kind: 'string', pattern: schema.pattern, ...bounds }
}

function parseNumber(schema: JsonSchema): Shape {
  const min = schema.minimum ?? schema.exclusiveMinimum
  const max = schema.maximum ?? schema.exclusiveMaximum
  return {
    kind: 'number',
    integer: schema.type === 'integer',
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
    ...(schema.multipleOf === undefined ? {} : { step: schema.multipleOf }),
  }
}
