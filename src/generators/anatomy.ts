import type { Contract } from '../core/contract.ts'
import { EvtError } from '../core/errors.ts'
import { type Shape, shapeOf } from '../core/json-shape.ts'
import { type Entities, type Entity, ownIdField } from './entities.ts'
import { snakeCase } from './snake-case.ts'
import { isChanges, type Verb, verbOf } from './verbs.ts'

export type ObjectShape = Shape & { readonly kind: 'object' }

/** A contract, understood: which thing, which fields. */
export interface Anatomy {
  readonly contract: Contract
  readonly shape: ObjectShape
  readonly verb: Verb
  /** `user` of `user.created`, and of `auth.login`, which carries a `user_id`; undefined for `system.…`. */
  readonly entity: Entity | undefined
  /** The field that holds the thing's id. */
  readonly idField: string | undefined
  /** True when the type's first word is the thing itself: `auth.login` is about a user, but no event of `user`. */
  readonly own: boolean
  /** The field with the thing's state, `user_data`. */
  readonly stateField: string | undefined
  readonly changesField: string | undefined
  /** Fields that name other things, with what they name: `user_id` of a document. */
  readonly owners: readonly { readonly field: string; readonly entity: Entity }[]
  /** Things named further inside: the products of an order. */
  readonly mentions: readonly Entity[]
}

/** Reads all contracts together: a field refers to a thing when another contract is about that thing. */
export function dissect(contracts: readonly Contract[], entities: Entities): readonly Anatomy[] {
  return contracts.map((contract) => dissectOne(contract, entities))
}

function dissectOne(contract: Contract, entities: Entities): Anatomy {
  const shape = objectShape(contract)
  const ownId = ownIdField(contract.type, shape.fields)
  const mine = ownId && entities.own(contract.type)
  const references = shape.fields.flatMap((field) => {
    const entity = field === ownId ? undefined : entities.referred(field, contract.type)
    return entity ? [{ field: field.name, entity }] : []
  })
  const [about, ...others] = ownId ? [undefined, ...references] : references
  const stateField = shape.fields.find((field) => field.shape.kind === 'object' && /_data$/.test(snakeCase(field.name)))
  const words = mine?.words ?? []
  return {
    contract,
    shape,
    verb: verbOf(contract, { words, own: ownId !== undefined, fields: shape.fields, stateField }),
    entity: mine ?? about?.entity,
    idField: ownId?.name ?? about?.field,
    own: ownId !== undefined,
    stateField: stateField?.name,
    changesField: shape.fields.find(isChanges)?.name,
    owners: others.flatMap((one) => one ?? []),
    mentions: shape.fields.flatMap(({ shape: inner }) => mentionsIn(inner, contract.type, entities)),
  }
}

function objectShape(contract: Contract): ObjectShape {
  const shape = shapeOf(contract.schema)
  if (shape.kind === 'object') return shape
  if (shape.kind === 'record') return { kind: 'object', fields: [] }
  throw new EvtError('unsupported', `cannot generate ${contract.type}: its data is no object but ${shape.kind}`, {
    hint: 'give events as they are: evt gen --input -',
  })
}

function mentionsIn(shape: Shape, type: string, entities: Entities): readonly Entity[] {
  if (shape.kind === 'array') return mentionsIn(shape.item, type, entities)
  if (shape.kind !== 'object') return []
  return shape.fields.flatMap((field) => entities.referred(field, type) ?? mentionsIn(field.shape, type, entities))
}
