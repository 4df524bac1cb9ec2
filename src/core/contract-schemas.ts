import { checksumOf } from './checksum.ts'
import type { Contract } from './contract.ts'
import type { Registry } from './registry.ts'

/** The part of JSON Schema 2020-12 that contracts are written in, with the marks of `sensitive()`. */
export interface JsonSchema {
  readonly $ref?: string
  readonly $defs?: Readonly<Record<string, JsonSchema>>
  readonly type?: string | readonly string[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: JsonSchema | boolean
  readonly items?: JsonSchema | boolean
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly format?: string
  readonly pattern?: string
  readonly sensitive?: boolean
  readonly encrypted?: boolean | string
}

/** All contracts in one document: what `evt schema export` writes and `evt schema diff` reads. */
export interface SchemaFile {
  readonly evt: 'contracts/1'
  readonly types: Readonly<Record<string, TypeSchemas>>
}
export interface TypeSchemas {
  readonly latest: number
  readonly draft?: true
  /** By version. */
  readonly versions: Readonly<Record<string, JsonSchema>>
}

/** What may be published: defaults are optional, and what is not named is allowed unless the schema is strict. */
export function schemaOf(contract: Contract, target: 'draft-2020-12' | 'draft-7' = 'draft-2020-12'): JsonSchema {
  const { $schema: _, ...schema } = contract.schema.toJSONSchema({
    io: 'input',
    unrepresentable: 'any',
    cycles: 'ref',
    target,
  }) as JsonSchema & { readonly $schema?: string }
  return schema
}

/** Every version of every type, sorted. */
export function schemaFile(registry: Pick<Registry, 'types' | 'get'>): SchemaFile {
  const types = registry.types().map((type) => {
    const versions = versionsOf(registry, type)
    const latest = versions.at(-1) as Contract
    const schemas = Object.fromEntries(versions.map((one) => [String(one.version), schemaOf(one)]))
    return [
      type,
      { latest: latest.version, ...(latest.draft ? { draft: latest.draft } : {}), versions: schemas },
    ] as const
  })
  return { evt: 'contracts/1', types: Object.fromEntries(types) }
}

/** From the first that is known on. */
export function versionsOf(registry: Pick<Registry, 'get'>, type: string): readonly Contract[] {
  const latest = registry.get(type)?.version ?? 0
  return Array.from({ length: latest }, (_, at) => registry.get(type, at + 1)).flatMap((one) => one ?? [])
}

/** Two contracts of one fingerprint accept the same data and mark the same fields. */
export const fingerprintOfContract = (contract: Contract): string =>
  checksumOf(JSON.stringify(sorted(schemaOf(contract)))).slice(0, 16)

/** Keys in their order: how a schema was written is no difference. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, one]) => [key, key === 'required' && Array.isArray(one) ? [...one].sort() : sorted(one)]),
  )
}
