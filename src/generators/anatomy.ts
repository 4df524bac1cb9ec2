import type { Contract } from '../core/contract.ts'
import { EvtError } from '../core/errors.ts'
import { type Shape, type ShapeField, shapeOf } from '../core/json-shape.ts'

export type ObjectShape = Shape & { readonly kind: 'object' }

/** What an event does to the thing that it is about, read from the last word of its type. */
export type Verb =
  | { readonly kind: 'begin' | 'end' | 'change' | 'touch' }
  /** `suspended` switches the field `is_active` off; with `rest`, nothing happens to the thing until it is ended. */
  | { readonly kind: 'switch'; readonly flag: string; readonly to: boolean; readonly rest: boolean }

/** A contract, understood: which thing, which fields. */
export interface Anatomy {
  readonly contract: Contract
  readonly shape: ObjectShape
  readonly verb: Verb
  /** `user` of `user.created`, and of `auth.login`, which carries a `user_id`; undefined for `system.…`. */
  readonly entity: string | undefined
  /** The field that holds the thing's id. */
  readonly idField: string | undefined
  /** True when the type's first word is the thing itself: `auth.login` is about a user, but no event of `user`. */
  readonly own: boolean
  /** The field with the thing's state, `user_data`. */
  readonly stateField: string | undefined
  readonly changesField: string | undefined
  /** Fields that name other things, with what they name: `user_id` of a document. */
  readonly owners: readonly { readonly field: string; readonly entity: string }[]
}

const begins = new Set(['created', 'registered', 'opened', 'placed', 'requested', 'started', 'added', 'login'])
const ends = new Set(['deleted', 'removed', 'closed', 'cancelled', 'purged', 'archived'])
const switches: Readonly<Record<string, { readonly flag: string; readonly to: boolean; readonly rest?: true }>> = {
  suspended: { flag: 'is_active', to: false, rest: true },
  deactivated: { flag: 'is_active', to: false, rest: true },
  published: { flag: 'is_public', to: true },
  verified: { flag: 'is_verified', to: true },
}

/** Fields that only a switch changes; elsewhere they keep the value with which things begin. */
export const startFlags: Readonly<Record<string, boolean>> = Object.fromEntries(
  Object.values(switches).map(({ flag, to }) => [flag, !to]),
)

export const snakeCase = (name: string): string => name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase()

/** Reads all contracts together: a field refers to a thing when another contract is about that thing. */
export function dissect(contracts: readonly Contract[], known: readonly Contract[]): readonly Anatomy[] {
  const entities = new Set(
    known.filter((one) => ownIdField(prefixOf(one.type), objectShape(one))).map((one) => prefixOf(one.type)),
  )
  return contracts.map((contract) => dissectOne(contract, entities))
}

function dissectOne(contract: Contract, entities: ReadonlySet<string>): Anatomy {
  const shape = objectShape(contract)
  const prefix = prefixOf(contract.type)
  const ownId = ownIdField(prefix, shape)
  const references = shape.fields.flatMap(({ name }) => {
    const entity = snakeCase(name).replace(/_id$/, '')
    return name !== ownId && entity !== snakeCase(name) && entities.has(entity) ? [{ field: name, entity }] : []
  })
  const [about, ...others] = ownId ? [undefined, ...references] : references
  const stateField = shape.fields.find((field) => field.shape.kind === 'object' && /_data$/.test(snakeCase(field.name)))
  return {
    contract,
    shape,
    verb: verbOf(contract.type, shape, stateField),
    entity: ownId ? prefix : about?.entity,
    idField: ownId ?? about?.field,
    own: ownId !== undefined,
    stateField: stateField?.name,
    changesField: shape.fields.find(isChanges)?.name,
    owners: others.flatMap((one) => one ?? []),
  }
}

const prefixOf = (type: string): string => type.split('.')[0] ?? type

const ownIdField = (prefix: string, shape: ObjectShape): string | undefined =>
  shape.fields.find(({ name }) => snakeCase(name) === `${prefix}_id`)?.name ??
  shape.fields.find(({ name }) => name === 'id')?.name

const isChanges = ({ name, shape }: ShapeField): boolean =>
  name === 'changes' && shape.kind === 'array' && shape.item.kind === 'string'

function verbOf(type: string, shape: ObjectShape, stateField: ShapeField | undefined): Verb {
  const word = type.split('.').at(-1) ?? ''
  if (begins.has(word)) return { kind: 'begin' }
  if (ends.has(word)) return { kind: 'end' }
  const change = switches[word]
  const inState = stateField?.shape.kind === 'object' ? stateField.shape.fields : []
  const flag = inState.find(({ name }) => snakeCase(name) === change?.flag)?.name
  if (change && flag !== undefined) return { kind: 'switch', flag, to: change.to, rest: change.rest ?? false }
  return { kind: shape.fields.some(isChanges) ? 'change' : 'touch' }
}

function objectShape(contract: Contract): ObjectShape {
  const shape = shapeOf(contract.schema)
  if (shape.kind === 'object') return shape
  throw new EvtError('unsupported', `cannot generate ${contract.type}: its data is no object but ${shape.kind}`, {
    hint: 'give events as they are: evt gen --input -',
  })
}
