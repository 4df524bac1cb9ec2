import type { JsonSchema, SchemaFile } from './contract-schemas.ts'

/** `backwards`: who has the new contract cannot read what the old one allows. `forwards`: who has the old one cannot read new events. */
export type Breaking = 'backwards' | 'forwards' | 'both' | 'no'

export interface ContractChange {
  /** `user.created v2: data.email`. */
  readonly path: string
  readonly change: 'added' | 'removed' | 'required' | 'optional' | 'type' | 'values' | 'bounds' | 'format' | 'marks'
  readonly breaking: Breaking
  /** For people. */
  readonly says: string
}

/** What changed from `old` to `next`, in the order of the types. A new version of a type breaks nothing: that is what versions are for. */
export function diffContracts(old: SchemaFile, next: SchemaFile): readonly ContractChange[] {
  const types = [...new Set([...Object.keys(old.types), ...Object.keys(next.types)])].sort()
  return types.flatMap((type): ContractChange[] => {
    const [was, is] = [old.types[type], next.types[type]]
    if (!was) return [{ path: type, change: 'added', breaking: 'no', says: 'a new type' }]
    if (!is)
      return [{ path: type, change: 'removed', breaking: 'both', says: 'nobody can publish or read it any more' }]
    const versions = [...new Set([...Object.keys(was.versions), ...Object.keys(is.versions)])].sort((a, b) => +a - +b)
    return versions.flatMap((version) =>
      diffVersion(`${type} v${version}`, was.versions[version], is.versions[version]),
    )
  })
}

function diffVersion(path: string, was: JsonSchema | undefined, is: JsonSchema | undefined): ContractChange[] {
  const waits = 'a new version; handlers that do not know it let its events wait'
  if (!was) return [{ path, change: 'added', breaking: 'no', says: waits }]
  if (!is)
    return [{ path, change: 'removed', breaking: 'backwards', says: 'events of it in the log can no longer be read' }]
  return diffSchemas(was, is, `${path}: data`)
}

interface Roots {
  readonly was: JsonSchema
  readonly is: JsonSchema
  /** Pairs of references under way. */
  readonly seen: Set<string>
}

/** What changed from one schema of data to another. */
export function diffSchemas(was: JsonSchema, is: JsonSchema, path = 'data'): ContractChange[] {
  return diff(was, is, path, { was, is, seen: new Set() })
}

function diff(given: JsonSchema, other: JsonSchema, path: string, roots: Roots): ContractChange[] {
  const pair = `${given.$ref ?? ''} ${other.$ref ?? ''}`
  if (pair !== ' ') {
    if (roots.seen.has(pair)) return []
    roots.seen.add(pair)
  }
  const [was, is] = [resolved(given, roots.was), resolved(other, roots.is)]
  const marks = diffMarks(was, is, path)
  const [before, after] = [kindsOf(was), kindsOf(is)]
  const gone = [...before.keys()].filter((kind) => !accepts(after, kind))
  const fresh = [...after.keys()].filter((kind) => !accepts(before, kind))
  const breaking = breakingOf(gone.length > 0, fresh.length > 0)
  const kinds: ContractChange[] =
    breaking === 'no' ? [] : [{ path, change: 'type', breaking, says: `was ${named(before)}, is ${named(after)}` }]
  const inner = [...before].flatMap(([kind, one]) => {
    const same = after.get(kind)
    return same ? diffSame(kind, one, { is: same, path, roots }) : []
  })
  return [...marks, ...kinds, ...inner]
}

const resolved = (schema: JsonSchema, root: JsonSchema): JsonSchema => {
  const { $ref } = schema
  if ($ref === undefined) return schema
  if ($ref === '#') return root
  const name = $ref.split('/').at(-1) ?? ''
  return root.$defs?.[name] ?? {}
}

/** The kinds of value that a schema allows, each with what it says about them. */
function kindsOf(schema: JsonSchema): Map<string, JsonSchema> {
  const kinds = new Map<string, JsonSchema>()
  const add = (kind: string, one: JsonSchema) => {
    const before = kinds.get(kind)
    kinds.set(kind, before ? merged(before, one) : one)
  }
  const alternatives = schema.anyOf ?? schema.oneOf
  if (alternatives) for (const one of alternatives) for (const [kind, inner] of kindsOf(one)) add(kind, inner)
  else if (schema.const !== undefined) add(kindOf(schema.const), { enum: [schema.const] })
  else if (schema.enum) for (const value of schema.enum) add(kindOf(value), { enum: [value] })
  else for (const type of schema.type === undefined ? ['any'] : [schema.type].flat()) add(type, schema)
  return kinds
}

/** Two alternatives of one kind: what either of them allows. Objects are compared as one whose fields are all optional unless both ask. */
function merged(one: JsonSchema, other: JsonSchema): JsonSchema {
  if (one.enum && other.enum) return { ...one, enum: [...one.enum, ...other.enum] }
  const required = (one.required ?? []).filter((name) => other.required?.includes(name))
  const properties = { ...one.properties }
  for (const [name, schema] of Object.entries(other.properties ?? {})) {
    const before = properties[name]
    properties[name] =
      before && JSON.stringify(before) !== JSON.stringify(schema) ? { anyOf: [before, schema] } : schema
  }
  return { type: one.type ?? 'any', properties, required }
}

const kindOf = (value: unknown) => (value === null ? 'null' : typeof value)
const accepts = (kinds: ReadonlyMap<string, unknown>, kind: string) =>
  kinds.has(kind) || kinds.has('any') || (kind === 'integer' && kinds.has('number'))
const named = (kinds: ReadonlyMap<string, unknown>) => [...kinds.keys()].join(' or ')
const breakingOf = (backwards: boolean, forwards: boolean): Breaking => {
  if (backwards && forwards) return 'both'
  return backwards ? 'backwards' : forwards ? 'forwards' : 'no'
}

interface Same {
  readonly is: JsonSchema
  readonly path: string
  readonly roots: Roots
}

function diffSame(kind: string, was: JsonSchema, { is, path, roots }: Same): ContractChange[] {
  const values = diffValues(was, is, path)
  if (kind === 'object') return [...values, ...diffFields(was, is, path, roots)]
  if (kind === 'array') return [...diffBounds(was, is, path), ...below(was.items, is.items, `${path}[]`, roots)]
  return [...values, ...diffBounds(was, is, path), ...diffFormat(was, is, path)]
}

function below(was: unknown, is: unknown, path: string, roots: Roots): ContractChange[] {
  return isSchema(was) && isSchema(is) ? diff(was, is, path, roots) : []
}

const isSchema = (value: unknown): value is JsonSchema => typeof value === 'object' && value !== null

function diffFields(was: JsonSchema, is: JsonSchema, path: string, roots: Roots): ContractChange[] {
  const [before, after] = [was.properties ?? {}, is.properties ?? {}]
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  const fields = names.flatMap((name): ContractChange[] => {
    const at = `${path}.${name}`
    const [old, next] = [before[name], after[name]]
    const [needed, needs] = [was.required?.includes(name) === true, is.required?.includes(name) === true]
    if (!old) return [added(at, needs, was.additionalProperties === false)]
    if (!next) return [removed(at, needed, is.additionalProperties === false)]
    const inner = diff(old, next, at, roots)
    if (needed === needs) return inner
    const changed: ContractChange = needs
      ? { path: at, change: 'required', breaking: 'backwards', says: 'was optional: old events may lack it' }
      : {
          path: at,
          change: 'optional',
          breaking: 'forwards',
          says: 'was required: who has the old contract refuses events without it',
        }
    return [changed, ...inner]
  })
  return [...fields, ...below(was.additionalProperties, is.additionalProperties, `${path}.*`, roots)]
}

function added(path: string, isRequired: boolean, wasStrict: boolean): ContractChange {
  const breaking = breakingOf(isRequired, wasStrict)
  const why = [
    ...(isRequired ? ['required: old events lack it'] : ['optional']),
    ...(wasStrict ? ['the old contract refuses fields that it does not know'] : []),
  ]
  return { path, change: 'added', breaking, says: why.join('; ') }
}

function removed(path: string, wasRequired: boolean, isStrict: boolean): ContractChange {
  const breaking = breakingOf(isStrict, wasRequired)
  const why = [
    ...(wasRequired ? ['was required: who has the old contract refuses events without it'] : ['was optional']),
    ...(isStrict ? ['the new contract refuses old events that have it'] : []),
  ]
  return { path, change: 'removed', breaking, says: why.join('; ') }
}

function diffValues(was: JsonSchema, is: JsonSchema, path: string): ContractChange[] {
  if (!was.enum && !is.enum) return []
  const gone = was.enum ? (is.enum ? was.enum.filter((one) => !is.enum?.includes(one)) : []) : ['any other']
  const fresh = is.enum ? (was.enum ? is.enum.filter((one) => !was.enum?.includes(one)) : []) : ['any other']
  const breaking = breakingOf(gone.length > 0, fresh.length > 0)
  if (breaking === 'no') return []
  const says = [
    ...(gone.length > 0 ? [`no more allows ${gone.join(', ')}`] : []),
    ...(fresh.length > 0 ? [`allows ${fresh.join(', ')}`] : []),
  ]
  return [{ path, change: 'values', breaking, says: says.join('; ') }]
}

const lower = ['minLength', 'minimum', 'exclusiveMinimum', 'minItems'] as const
const upper = ['maxLength', 'maximum', 'exclusiveMaximum', 'maxItems'] as const

function diffBounds(was: JsonSchema, is: JsonSchema, path: string): ContractChange[] {
  const one = (name: (typeof lower | typeof upper)[number], none: number, sign: 1 | -1): ContractChange[] => {
    const [before, after] = [was[name] ?? none, is[name] ?? none]
    if (before === after) return []
    const isTighter = sign * (after - before) > 0
    return [
      {
        path,
        change: 'bounds',
        breaking: isTighter ? 'backwards' : 'forwards',
        says: `${name} was ${was[name] ?? 'none'}, is ${is[name] ?? 'none'}`,
      },
    ]
  }
  return [...lower.flatMap((name) => one(name, -Infinity, 1)), ...upper.flatMap((name) => one(name, Infinity, -1))]
}

function diffFormat(was: JsonSchema, is: JsonSchema, path: string): ContractChange[] {
  const [before, after] = [was.format ?? was.pattern, is.format ?? is.pattern]
  if (before === after) return []
  const breaking = breakingOf(after !== undefined, before !== undefined)
  return [{ path, change: 'format', breaking, says: `format was ${before ?? 'free'}, is ${after ?? 'free'}` }]
}

function diffMarks(was: JsonSchema, is: JsonSchema, path: string): ContractChange[] {
  const of = ({ sensitive = false, encrypted = false }: JsonSchema) =>
    encrypted !== false ? 'sensitive and encrypted' : sensitive ? 'sensitive' : 'not sensitive'
  return of(was) === of(is) ? [] : [{ path, change: 'marks', breaking: 'no', says: `was ${of(was)}, is ${of(is)}` }]
}
