import type { ShapeField } from '../core/json-shape.ts'
import type { Anatomy, ObjectShape } from './anatomy.ts'
import type { Moment } from './moment.ts'
import type { Individual } from './population.ts'
import { snakeCase } from './snake-case.ts'
import { compileTotals } from './totals.ts'
import { compileObject, compileValue, type Data, type Stock } from './values.ts'
import { startFlags } from './verbs.ts'

/** Compiled: how the state of a thing comes about and changes, in the shape that one contract gives it. */
export interface StatePlan {
  readonly field: string
  begin(moment: Moment): Data
  /** `state` with the ids that stand around it too: of the thing itself, of what it belongs to. */
  of(one: Individual, state: Data): Data
  /** `state` in this contract's shape: fields that it lacks are drawn. */
  fit(state: Data, moment: Moment): Data
  /** Changes one or two fields to really different values. */
  change(state: Data, moment: Moment): { readonly state: Data; readonly changes: readonly string[] }
  set(
    state: Data,
    flag: string,
    to: boolean,
    moment: Moment,
  ): { readonly state: Data; readonly changes: readonly string[] }
}

export function compileState(anatomy: Anatomy, stock: Stock): StatePlan | undefined {
  const field = anatomy.shape.fields.find(({ name }) => name === anatomy.stateField)
  if (field?.shape.kind !== 'object') return undefined
  const shape = field.shape
  const draw = compileObject(shape, stock, { fixed: flagsOf(shape), path: field.name })
  const stamp = shape.fields.find(({ name }) => snakeCase(name) === 'updated_at')?.name
  const mutable = shape.fields
    .filter(isMutable)
    .map(({ name, shape: inner }) => ({ name, draw: compileValue(name, inner, stock, `${field.name}.${name}`) }))
  const names = shape.fields.filter(({ required }) => required).map(({ name }) => name)

  const addUp = compileTotals(shape.fields)
  const touched = (state: Data, changed: Data, moment: Moment): Data => {
    const made: Record<string, unknown> = { ...state, ...changed }
    if (stamp !== undefined) made[stamp] = moment.iso
    addUp?.(made)
    return made
  }

  return {
    field: field.name,
    begin: draw,
    of: compileTies(anatomy, shape),
    fit(state, moment) {
      if (names.every((name) => name in state)) return state
      const made = draw(moment)
      return Object.fromEntries(
        Object.entries(made).map(([name, value]) => [name, name in state ? state[name] : value]),
      )
    },
    change(state, moment) {
      const changed: Record<string, unknown> = {}
      const wanted = Math.min(mutable.length, 1 + moment.below(2))
      moment.newSalt()
      for (let tries = 0; tries < 12 && countOf(changed) < wanted; tries++) {
        const one = mutable[moment.below(mutable.length)] as (typeof mutable)[number]
        const value = one.draw(moment)
        if (!isSame(value, state[one.name])) changed[one.name] = value
      }
      const next = touched(state, changed, moment)
      return { state: next, changes: addUp ? differing(state, next, stamp) : Object.keys(changed) }
    },
    set: (state, flag, to, moment) => ({ state: touched(state, { [flag]: to }, moment), changes: [flag] }),
  }
}

/** `user_data.id` is the `user_id` beside it. */
function compileTies({ entity, own, idField, owners }: Anatomy, { fields }: ObjectShape): StatePlan['of'] {
  const ties = fields.flatMap(({ name, shape }) => {
    const isOwn = own && entity?.id.kind === shape.kind && (name === idField || snakeCase(name) === 'id')
    if (isOwn) return [{ name, idOf: (one: Individual) => one.id }]
    const owner = owners.find(({ field, entity: { id } }) => field === name && id.kind === shape.kind)
    return owner ? [{ name, idOf: (one: Individual) => one.owners[name]?.id }] : []
  })
  return (one, state) => {
    let tied = state
    for (const { name, idOf } of ties) {
      const id = idOf(one)
      if (id !== undefined && name in state && state[name] !== id) tied = { ...tied, [name]: id }
    }
    return tied
  }
}

const countOf = (object: object): number => Object.keys(object).length

const isSame = (a: unknown, b: unknown): boolean =>
  a === b || (typeof a === 'object' && typeof b === 'object' && JSON.stringify(a) === JSON.stringify(b))

const differing = (before: Data, after: Data, stamp: string | undefined): readonly string[] =>
  Object.keys(after).filter((name) => name !== stamp && !isSame(before[name], after[name]))

const flagsOf = (shape: ObjectShape): Data =>
  Object.fromEntries(
    shape.fields.flatMap(({ name }) => {
      const start = startFlags[snakeCase(name)]
      return start === undefined ? [] : [[name, start]]
    }),
  )

/** Ids, times and switches do not change by an update. */
function isMutable({ name, shape }: ShapeField): boolean {
  if (/(^|_)id$|_at$/.test(snakeCase(name)) || snakeCase(name) in startFlags) return false
  return !(shape.kind === 'choice' && shape.values.length < 2)
}
