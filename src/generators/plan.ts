import type { Anatomy } from './anatomy.ts'
import type { Moment } from './moment.ts'
import type { Pools } from './pools.ts'
import type { Individual } from './population.ts'
import { compileState, type StatePlan } from './state.ts'
import { compileObject, compileValue, type Data, type Draw } from './values.ts'
import type { World } from './world.ts'

/** One contract, compiled: everything that can be decided before the first event is. */
export interface Plan {
  readonly anatomy: Anatomy
  readonly state: StatePlan | undefined
  /** Fields of the payload that are neither ids nor state. */
  readonly others: readonly { readonly name: string; readonly required: boolean; readonly draw: Draw }[]
  /** A thing that rests is never ended by these events: it may be forgotten. */
  readonly restsForGood: boolean
  /** Payloads that are about no thing. */
  readonly lone: (moment: Moment) => Data
}

export function compilePlan(anatomy: Anatomy, pools: Pools, ended: boolean): Plan {
  const { shape, idField, stateField, changesField } = anatomy
  const special = new Set([idField, stateField, changesField, ...anatomy.owners.map(({ field }) => field)])
  return {
    anatomy,
    state: compileState(anatomy, pools),
    others: shape.fields
      .filter(({ name }) => !special.has(name))
      .map(({ name, required, shape: inner }) => ({ name, required, draw: compileValue(name, inner, pools) })),
    restsForGood: !ended,
    lone: compileObject(shape, pools),
  }
}

/** The thing that the next event of `plan` is about: chosen, begun, or undefined when none is there to choose. */
export function findSubject(plan: Plan, world: World, moment: Moment, keep: boolean): Individual | undefined {
  const { entity, own, verb } = plan.anatomy
  if (entity === undefined) return undefined
  if (own && verb.kind === 'begin') {
    const owners = chooseOwners(plan, world, moment)
    return owners && world.begin(entity, owners, plan.state, keep)
  }
  return world.populationOf(entity).choose(moment, (one) => isReady(plan, one))
}

/** Begins a thing of which nobody has told: the stream starts in the middle of a history. */
export function adopt(plan: Plan, world: World, moment: Moment): Individual | undefined {
  const { entity, own } = plan.anatomy
  if (entity === undefined) return undefined
  const owners = Object.fromEntries(
    plan.anatomy.owners.map((owner) => [
      owner.field,
      world.populationOf(owner.entity).choose(moment, isActive) ?? world.begin(owner.entity, {}, undefined, true),
    ]),
  )
  return world.begin(entity, owners, own ? plan.state : undefined, true)
}

function chooseOwners(plan: Plan, world: World, moment: Moment): Record<string, Individual> | undefined {
  const owners: Record<string, Individual> = {}
  for (const { field, entity } of plan.anatomy.owners) {
    const owner = world.populationOf(entity).choose(moment, isActive)
    if (!owner) return undefined
    owners[field] = owner
  }
  return owners
}

export const isActive = (one: Individual): boolean => !one.resting

/** What is published already is not published again; what rests, and what belongs to it, only ends. */
function isReady({ anatomy: { verb, own }, state }: Plan, one: Individual): boolean {
  if (own && verb.kind === 'end') return true
  if (one.resting) return false
  for (const field in one.owners) if (one.owners[field]?.resting) return false
  return verb.kind !== 'switch' || !state || one.state[state.field]?.[verb.flag] !== verb.to
}

/** Moves the thing on by one event and gives that event's payload. */
export function advance(plan: Plan, one: Individual, moment: Moment): Data {
  const { anatomy, state } = plan
  const data: Record<string, unknown> = {}
  if (anatomy.idField !== undefined) data[anatomy.idField] = one.id
  for (const { field } of anatomy.owners) data[field] = one.owners[field]?.id ?? moment.uuid()
  let changes: readonly string[] = []
  if (state) {
    const moved = moveState(plan, state, one, moment)
    changes = moved.changes
    if (one.state[state.field] !== moved.state) one.state = { ...one.state, [state.field]: moved.state }
    data[state.field] = moved.state
  }
  if (anatomy.changesField !== undefined) data[anatomy.changesField] = changes
  for (const other of plan.others) if (other.required || moment.random() < 0.7) data[other.name] = other.draw(moment)
  if (anatomy.own) retire(plan, one)
  one.sequence += 1
  return data
}

function retire({ anatomy: { verb }, restsForGood }: Plan, one: Individual): void {
  if (verb.kind === 'end') one.gone = true
  else if (verb.kind === 'switch' && verb.rest) {
    one.resting = true
    one.gone = restsForGood
  }
}

const unchanged: readonly string[] = []

function moveState({ anatomy: { own, verb } }: Plan, state: StatePlan, one: Individual, moment: Moment) {
  const known = one.state[state.field]
  if (!known) return { state: state.begin(moment), changes: unchanged }
  const present = state.fit(known, moment)
  switch (verb.kind) {
    case 'change':
      return state.change(present, moment)
    case 'switch':
      return state.set(present, verb.flag, verb.to, moment)
    case 'begin':
      // A login starts a session anew; a thing of its own has just been drawn.
      return { state: own ? present : state.begin(moment), changes: unchanged }
    default:
      return { state: present, changes: unchanged }
  }
}
