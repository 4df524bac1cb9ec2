import { type ShapeField, shapeOf } from '../core/json-shape.ts'
import type { Anatomy } from './anatomy.ts'
import type { Entity } from './entities.ts'
import type { Facts } from './facts.ts'
import type { Moment } from './moment.ts'
import type { Individual } from './population.ts'
import { compileState, type StatePlan } from './state.ts'
import { type AddUp, compileTotals } from './totals.ts'
import { compileObject, compileValue, type Data, type Draw, type Stock } from './values.ts'
import { isPhaseAllowed } from './verbs.ts'
import type { World } from './world.ts'

/** One contract, compiled: everything that can be decided before the first event is. */
export interface Plan {
  readonly anatomy: Anatomy
  readonly state: StatePlan | undefined
  /** Fields of the payload that are neither ids nor state. */
  readonly others: readonly Other[]
  readonly addUp: AddUp | undefined
  /** A thing that rests is never ended by these events: it may be forgotten. */
  readonly restsForGood: boolean
  /** Some other event opens what this one goes on with or closes: a login. */
  readonly opened: boolean
  /** Payloads that are about no thing. */
  readonly lone: (moment: Moment) => Data
}

interface Other {
  readonly name: string
  readonly required: boolean
  readonly presence: number
  readonly draw: Draw
  /** What has been said of the thing, or of one that it belongs to, before. */
  readonly known: ((one: Individual) => unknown) | undefined
}

export interface PlanOptions {
  readonly stock: Stock
  readonly facts: Facts
  readonly ended: boolean
  readonly opened: boolean
}

export function compilePlan(anatomy: Anatomy, { stock, facts, ended, opened }: PlanOptions): Plan {
  const { shape, idField, stateField, changesField } = anatomy
  const special = new Set([idField, stateField, changesField, ...anatomy.owners.map(({ field }) => field)])
  return {
    anatomy,
    state: compileState(anatomy, stock),
    others: shape.fields
      .filter(({ name }) => !special.has(name))
      .map((field) => ({
        name: field.name,
        required: field.required,
        presence: stock.presence?.(field.name) ?? 0.7,
        draw: compileValue(field.name, field.shape, stock),
        known: compileKnown(anatomy, field, facts),
      })),
    addUp: compileTotals(shape.fields),
    restsForGood: !ended,
    opened,
    lone: ofNobody(compileLone(anatomy, stock)),
  }
}

const ofNobody =
  (draw: (moment: Moment) => Data) =>
  (moment: Moment): Data => {
    moment.newSalt()
    return draw(moment)
  }

/** Of a map there are no fields, but values. */
function compileLone({ contract, shape }: Anatomy, stock: Stock): Plan['lone'] {
  const whole = shapeOf(contract.schema)
  return whole.kind === 'record' ? (compileValue('', whole, stock) as Plan['lone']) : compileObject(shape, stock)
}

function compileKnown(
  { entity, own, verb, owners }: Anatomy,
  field: ShapeField,
  facts: Facts,
): ((one: Individual) => unknown) | undefined {
  const isRepeated = entity && !(own && (verb.kind === 'begin' || verb.kind === 'change'))
  const itself = isRepeated ? facts.copy(entity, field, own ? 'itself' : 'another') : undefined
  if (itself) return itself
  for (const owner of owners) {
    const copy = facts.copy(owner.entity, field, 'another')
    if (copy) return (one) => one.owners[owner.field] && copy(one.owners[owner.field] as Individual)
  }
  return undefined
}

/** The thing that the next event of `plan` is about: chosen, begun, or undefined when none is there to choose. */
export function findSubject(
  plan: Plan,
  { world, moment, keep, suits }: { world: World; moment: Moment; keep: boolean; suits: Suits },
): Individual | undefined {
  const { entity, own, verb } = plan.anatomy
  if (entity === undefined) return undefined
  if (own && verb.kind === 'begin') {
    const owners = chooseOwners(plan, { world, moment, suits })
    return owners && world.begin(entity, owners, plan.state, keep)
  }
  return world.populationOf(entity).choose(moment, (one) => isReady(plan, one) && suits(one, entity))
}

/** What else is asked of a thing. */
export type Suits = (one: Individual, entity: Entity) => boolean

/** One that the event may be about, and that suits. */
export const findReady = (
  plan: Plan,
  world: World,
  moment: Moment,
  suits: (one: Individual) => boolean,
): Individual | undefined =>
  plan.anatomy.entity &&
  world.populationOf(plan.anatomy.entity).choose(moment, (one) => isReady(plan, one) && suits(one))

export const chooseOrBegin = (
  entity: Entity,
  world: World,
  moment: Moment,
  suits: (one: Individual) => boolean,
): Individual =>
  world.populationOf(entity).choose(moment, (one) => isActive(one) && suits(one)) ??
  world.begin(entity, {}, undefined, true)

/** Begins a thing of which nobody has told: the stream starts in the middle of a history. */
export function adopt(plan: Plan, world: World, moment: Moment): Individual | undefined {
  const { entity, own } = plan.anatomy
  if (entity === undefined) return undefined
  const owners = consistent(
    Object.fromEntries(
      plan.anatomy.owners.map((owner) => [
        owner.field,
        world.populationOf(owner.entity).choose(moment, isActive) ?? world.begin(owner.entity, {}, undefined, true),
      ]),
    ),
  )
  return world.begin(entity, owners, own ? plan.state : undefined, true)
}

function chooseOwners(
  plan: Plan,
  { world, moment, suits }: { world: World; moment: Moment; suits: Suits },
): Record<string, Individual> | undefined {
  const owners: Record<string, Individual> = {}
  for (const { field, entity } of plan.anatomy.owners) {
    const owner = world.populationOf(entity).choose(moment, (one) => isActive(one) && suits(one, entity))
    if (!owner) return undefined
    owners[field] = owner
  }
  return consistent(owners)
}

/** An order of a customer belongs to the tenant of that customer. */
function consistent(owners: Record<string, Individual>): Record<string, Individual> {
  for (const field in owners) {
    const theirs = owners[field]?.owners ?? {}
    for (const other in theirs) if (other in owners) owners[other] = theirs[other] as Individual
  }
  return owners
}

export const isActive = (one: Individual): boolean => !one.resting

/** What is published already is not published again; what rests, and what belongs to it, only ends. */
function isReady({ anatomy: { verb, own }, state, opened }: Plan, one: Individual): boolean {
  if (own && verb.kind === 'end') return true
  if (one.resting) return false
  if (opened && state && one.state[state.field] === undefined) return false
  if (own && verb.kind === 'phase' && !isPhaseAllowed(verb, one.rank, one.phase)) return false
  for (const field in one.owners) if (one.owners[field]?.resting) return false
  return verb.kind !== 'switch' || !state || one.state[state.field]?.[verb.flag] !== verb.to
}

/** Moves the thing on by one event and gives that event's payload. */
export function advance(plan: Plan, one: Individual, moment: Moment): Data {
  const { anatomy, state } = plan
  const data: Record<string, unknown> = {}
  if (anatomy.verb.kind === 'change') moment.newSalt()
  else moment.setSalt(one.salt)
  if (anatomy.idField !== undefined) data[anatomy.idField] = one.id
  for (const { field } of anatomy.owners) data[field] = one.owners[field]?.id ?? moment.uuid()
  let changes: readonly string[] = []
  if (state) {
    const moved = moveState(plan, state, one, moment)
    changes = moved.changes
    const present = state.of(one, moved.state)
    if (one.state[state.field] !== present) one.state = { ...one.state, [state.field]: present }
    if (!anatomy.own && anatomy.verb.kind === 'end') one.state = withoutState(one.state, state.field)
    data[state.field] = present
  }
  if (anatomy.changesField !== undefined) data[anatomy.changesField] = changes
  for (const other of plan.others) {
    if (!other.required && moment.random() >= other.presence) continue
    data[other.name] = other.known?.(one) ?? other.draw(moment)
  }
  plan.addUp?.(data)
  if (anatomy.own) retire(plan, one, data)
  one.sequence += 1
  return data
}

function retire({ anatomy: { verb, contract }, restsForGood, others }: Plan, one: Individual, data: Data): void {
  if (verb.kind !== 'change') one.phase = contract.type
  if (verb.kind === 'begin') one.begun = true
  if (verb.kind === 'end') one.gone = true
  else if (verb.kind === 'switch' && verb.rest) {
    one.resting = true
    one.gone = restsForGood
  } else if (verb.kind === 'phase') {
    one.rank = Math.max(one.rank, verb.rank)
    one.finished = verb.end
  } else if (verb.kind === 'begin') one.facts = data
  else if (verb.kind === 'change' && others.length > 0) one.facts = { ...one.facts, ...data }
}

function withoutState(state: Individual['state'], field: string): Individual['state'] {
  const { [field]: _closed, ...others } = state
  return others
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
