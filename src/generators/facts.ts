import type { ShapeField } from '../core/json-shape.ts'
import type { Anatomy } from './anatomy.ts'
import type { Entity } from './entities.ts'
import type { Individual } from './population.ts'
import { snakeCase } from './snake-case.ts'

/** What was said of a thing once is said of it again: its title, its address, its price. */
export interface Facts {
  /** Reads from a thing what a field of another event repeats; undefined where it says something of its own. */
  copy(entity: Entity, field: ShapeField, about: 'itself' | 'another'): ((one: Individual) => unknown) | undefined
}

/** Different with every event. */
const passing =
  /(^|_)(at|on|time|timestamp|date|status|state|reason|notes?|comment|message|delta|quantity|count|attempts?|duration|score|token|code|ip|user_agent|location|changes|metadata|channel|result|ms)$/
/** Of another thing, only what is plainly its own: `user_email`, or one of these. */
const shared = new Set(['email', 'currency', 'sku', 'unit_price'])
const otherNames: Readonly<Record<string, readonly string[]>> = {
  unit_price: ['price'],
  amount: ['total', 'total_amount', 'amount'],
}
const owner = /^(user|customer|owner|recipient|author|requester)_(?=.)/

interface Known {
  /** Of both, so that a value fits where it is repeated; undefined when contracts disagree. */
  signature: string | undefined
  readonly stateField: string | undefined
  readonly name: string
}

export function collectFacts(known: readonly Anatomy[]): Facts {
  const entities = new Map<string, Map<string, Known>>()
  for (const { own, entity, shape, stateField } of known) {
    if (!own || !entity) continue
    const facts = entities.get(entity.key) ?? new Map<string, Known>()
    entities.set(entity.key, facts)
    for (const field of shape.fields) {
      if (field.name !== stateField) note(facts, field, undefined)
      else if (field.shape.kind === 'object') for (const inner of field.shape.fields) note(facts, inner, stateField)
    }
  }
  return {
    copy(entity, field, about) {
      const facts = entities.get(entity.key)
      const names = about === 'itself' ? ownNames(field) : namesOfAnother(field, entity)
      const found = names.map((name) => facts?.get(name)).find((one) => one?.signature === signatureOf(field))
      if (!found) return undefined
      const { name, stateField } = found
      return stateField === undefined ? (one) => one.facts[name] : (one) => one.state[stateField]?.[name]
    },
  }
}

function note(facts: Map<string, Known>, field: ShapeField, stateField: string | undefined): void {
  const name = snakeCase(field.name)
  const known = facts.get(name)
  if (!known) facts.set(name, { signature: signatureOf(field), stateField, name: field.name })
  else if (known.signature !== signatureOf(field)) known.signature = undefined
}

const signatureOf = ({ shape }: ShapeField): string => JSON.stringify(shape)

const ownNames = ({ name }: ShapeField): readonly string[] => (passing.test(snakeCase(name)) ? [] : [snakeCase(name)])

function namesOfAnother({ name }: ShapeField, entity: Entity): readonly string[] {
  const snake = snakeCase(name)
  const bare = snake.startsWith(`${entity.name}_`) ? snake.slice(entity.name.length + 1) : undefined
  const whose = entity.name === 'user' ? snake.replace(owner, '') : snake
  const plain = bare ?? (whose === snake ? undefined : whose)
  if (plain !== undefined && !passing.test(plain)) return [plain]
  return [...(shared.has(snake) ? [snake] : []), ...(otherNames[snake] ?? [])]
}
