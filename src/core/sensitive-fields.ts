import type { Contract } from './contract.ts'
import { EvtError } from './errors.ts'

/** A field of a contract that `sensitive()` marks. */
export interface SensitiveField {
  /** From `data`, which is not in it; `[]` stands for every element of an array, `*` for every value of a record. */
  readonly path: readonly string[]
  /** Whose key encrypts it: `true` the event's subject, a text the one that its braces name. */
  readonly encrypt: boolean | string
  readonly pseudonym: boolean
  /** Null stands there only when it was erased. */
  readonly erasable: boolean
}

/** What JSON Schema says about where a field can be, and the marks that `sensitive()` adds. */
interface Node {
  readonly $ref?: string
  readonly $defs?: Readonly<Record<string, Node>>
  readonly anyOf?: readonly Node[]
  readonly oneOf?: readonly Node[]
  readonly allOf?: readonly Node[]
  readonly properties?: Readonly<Record<string, Node>>
  readonly additionalProperties?: Node | boolean
  readonly items?: Node | boolean
  readonly prefixItems?: readonly Node[]
  readonly sensitive?: boolean
  readonly encrypted?: boolean | string
  readonly pseudonym?: boolean
  readonly erasable?: boolean
}

const known = new WeakMap<Contract, readonly SensitiveField[]>()

/**
 * The marked fields of a contract, wherever they are: in objects, arrays, records, unions and intersections. Where a schema refers to
 * itself, everything below is one marked field. Throws EvtError('config') for an encrypted field that has no place of its own.
 */
export function sensitiveFields(contract: Contract): readonly SensitiveField[] {
  const found = known.get(contract)
  if (found) return found
  const root = contract.schema.toJSONSchema({ unrepresentable: 'any', cycles: 'ref' }) as Node
  const fields = unique(walk(root, [], { root, within: [] }))
  for (const { encrypt, path } of fields) {
    if (encrypt === false || (path.length > 0 && !path.includes('*'))) continue
    const where = path.length === 0 ? 'its data as a whole' : `data.${path.join('.')}`
    throw new EvtError('config', `cannot encrypt ${where} of ${contract.type}: it is not a field of its own`, {
      hint: 'mark the field that holds it: sensitive(z.record(…), { encrypt: true })',
    })
  }
  known.set(contract, fields)
  return fields
}

interface Walk {
  readonly root: Node
  /** The references that led here. */
  readonly within: readonly Node[]
}

function walk(node: Node, path: readonly string[], at: Walk): SensitiveField[] {
  if (node.sensitive) {
    const { encrypted: encrypt = false, pseudonym = false, erasable = false } = node
    return [{ path, encrypt, pseudonym, erasable }]
  }
  if (node.$ref !== undefined) return follow(resolve(at.root, node.$ref), path, at)
  const inner = at.within.includes(node) ? at : { ...at, within: [...at.within, node] }
  const below: [Node | boolean | undefined, readonly string[]][] = [
    ...[...(node.anyOf ?? []), ...(node.oneOf ?? []), ...(node.allOf ?? [])].map((one): [Node, typeof path] => [
      one,
      path,
    ]),
    ...Object.entries(node.properties ?? {}).map(([name, one]): [Node, string[]] => [one, [...path, name]]),
    ...[...(node.prefixItems ?? []), node.items].map((one): [typeof one, string[]] => [one, [...path, '[]']]),
    [node.additionalProperties, [...path, '*']],
  ]
  return below.flatMap(([one, place]) => (typeof one === 'object' ? walk(one, place, inner) : []))
}

/** A schema within itself has no end: if it holds anything sensitive, all of it is. */
function follow(target: Node | undefined, path: readonly string[], at: Walk): SensitiveField[] {
  if (!target) return []
  if (!at.within.includes(target)) return walk(target, path, { ...at, within: [...at.within, target] })
  return holdsMarks(target, at.root, new Set()) ? [{ path, encrypt: false, pseudonym: false, erasable: false }] : []
}

function holdsMarks(node: unknown, root: Node, seen: Set<unknown>): boolean {
  if (typeof node !== 'object' || node === null || seen.has(node)) return false
  seen.add(node)
  const { sensitive, $ref } = node as Node
  if (sensitive === true) return true
  if (typeof $ref === 'string' && holdsMarks(resolve(root, $ref), root, seen)) return true
  return Object.values(node).some((one) => holdsMarks(one, root, seen))
}

function resolve(root: Node, ref: string): Node | undefined {
  if (ref === '#') return root
  return ref.startsWith('#/$defs/') ? root.$defs?.[ref.slice('#/$defs/'.length)] : undefined
}

function unique(fields: readonly SensitiveField[]): readonly SensitiveField[] {
  const byPath = new Map<string, SensitiveField>()
  for (const field of fields) {
    const key = field.path.join('\0')
    const before = byPath.get(key)
    if (!before || (before.encrypt === false && field.encrypt !== false)) byPath.set(key, field)
  }
  return [...byPath.values()]
}

/** Whether any version of any type encrypts something. Throws as `sensitiveFields`. */
export const encryptsAny = (registry: Registry): boolean => encryptingType(registry) !== undefined

/** A type of which some version encrypts something. */
export const encryptingType = (registry: Registry): string | undefined =>
  registry.types().find((type) => {
    for (let version = registry.get(type)?.version ?? 0; version > 0; version -= 1) {
      const contract = registry.get(type, version)
      if (contract && sensitiveFields(contract).some(({ encrypt }) => encrypt !== false)) return true
    }
    return false
  })

/** What is asked of a registry. */
interface Registry {
  types(): readonly string[]
  get(type: string, version?: number): Contract | undefined
}

/** As `maskFields` takes it: what lies in a record is masked with the record. */
export function maskPath({ path }: Pick<SensitiveField, 'path'>): string {
  const end = path.indexOf('*')
  return ['data', ...(end < 0 ? path : path.slice(0, end)).filter((name) => name !== '[]')].join('.')
}
