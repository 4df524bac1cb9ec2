import type { Contract } from '../core/contract.ts'
import { type Shape, type ShapeField, shapeOf } from '../core/json-shape.ts'
import { snakeCase } from './snake-case.ts'
import { wordOf } from './verbs.ts'

/** A kind of thing that events are about. */
export interface Entity {
  /** `user`; with what stands before it in the type, `requests.user`, where two services have things of one name. */
  readonly key: string
  /** Of its subjects: `user/…`. */
  readonly name: string
  readonly id: Shape
  /** Last words of the known types of its own. */
  readonly words: readonly string[]
}

/** All kinds of things that the known contracts are about, and what a field may name among them. */
export interface Entities {
  /** The thing whose own event `type` is. */
  own(type: string): Entity | undefined
  /** What a field refers to: `user_id`, `from_location_id`, `customer_id`. */
  referred(field: ShapeField, from: string): Entity | undefined
}

/** People under other names. */
const people =
  /^(customer|owner|author|creator|assignee|assigned_to|requester|member|employee|worker|recipient|actor|account_holder|created_by|approver)$/

export function findEntities(known: readonly Contract[]): Entities {
  const found = new Map<string, { -readonly [Key in keyof Entity]: Entity[Key] }>()
  for (const contract of known) {
    const key = keyOf(contract.type)
    const id = ownIdField(contract.type, fieldsOf(contract))
    if (!id) continue
    const entity = found.get(key) ?? { key, name: wordOf(key), id: id.shape, words: [] }
    entity.words = [...entity.words, wordOf(contract.type)]
    found.set(key, entity)
  }
  const all = [...found.values()]
  const named = (name: string, id: Shape, from: string): Entity | undefined => {
    const candidates = all.filter((one) => one.name === name && fits(one.id, id))
    return (
      candidates.find(({ key }) => key.split('.')[0] === from) ??
      candidates.find(({ key }) => key === name) ??
      candidates[0]
    )
  }
  return {
    own: (type) => found.get(keyOf(type)),
    referred({ name: field, shape }, type) {
      const whole = snakeCase(field)
      const from = type.split('.')[0] ?? ''
      const name = whole.replace(/_id$/, '')
      if (name === whole && !people.test(whole)) return undefined
      const words = name.split('_')
      for (let skipped = 0; skipped < words.length; skipped++) {
        const entity = named(words.slice(skipped).join('_'), shape, from)
        if (entity) return entity
      }
      return people.test(name) ? named('user', shape, from) : undefined
    },
  }
}

const keyOf = (type: string): string => type.split('.').slice(0, -1).join('.')

/** Ids of two shapes may be the same value. */
function fits(id: Shape, field: Shape): boolean {
  if (field.kind === 'union') return field.of.some((one) => one.kind !== 'null' && fits(id, one))
  if (id.kind === 'string' && field.kind === 'string') return field.format === undefined || field.format === id.format
  return id.kind === field.kind
}

export function ownIdField(type: string, fields: readonly ShapeField[]): ShapeField | undefined {
  const key = keyOf(type)
  const names = [`${wordOf(key)}_id`, `${key.replaceAll('.', '_')}_id`, 'id']
  return names.map((wanted) => fields.find(({ name }) => snakeCase(name) === wanted)).find((one) => one !== undefined)
}

function fieldsOf(contract: Contract): readonly ShapeField[] {
  const shape = shapeOf(contract.schema)
  return shape.kind === 'object' ? shape.fields : []
}
