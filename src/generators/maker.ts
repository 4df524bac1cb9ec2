import type { EvtEvent } from '../core/event.ts'
import type { Corrupt } from './corruption.ts'
import { type Draft, draftOf } from './draft.ts'
import type { Entity } from './entities.ts'
import type { Moment } from './moment.ts'
import type { Override } from './overrides.ts'
import { adopt, findSubject, isActive, type Plan, type Suits } from './plan.ts'
import type { Individual } from './population.ts'
import { wordOf } from './verbs.ts'
import type { World } from './world.ts'

export interface Compiled extends Plan {
  readonly override: Override
  readonly corrupt: Corrupt
}

export interface MakerOptions {
  readonly plans: readonly Compiled[]
  /** Entities that later events choose from. */
  readonly kept: ReadonlySet<string>
  readonly world: World
  readonly moment: Moment
  readonly source: string
  /** Of which types what is missing was there before the first event; else, and of others, it comes first. */
  readonly startsInTheMiddle?: ((type: string) => boolean) | undefined
}

/**
 * Turns a wish for an event of some plan into an event that is possible now, perhaps of another plan: nothing is updated
 * before it exists.
 */
export function createMaker(options: MakerOptions): (wanted: Compiled) => readonly [EvtEvent, Compiled] {
  const settle = createSettling(options)
  const retarget = createRetargeting()
  return (wanted) => {
    const [plan, one] = settle(wanted)
    const event = draftOf(plan, one, options)
    if (one) addSubject(event, one)
    const overridden = plan.override(event)
    return [overridden === event ? event : retarget(plan, event, overridden), plan]
  }
}

/** The thing that an event is about, or the plan of an event that has to come before it. */
function createSettling({ plans, kept, world, moment, startsInTheMiddle }: MakerOptions) {
  const begins = new Map<string, Compiled>()
  for (const plan of plans) {
    const { own, verb, entity } = plan.anatomy
    if (own && verb.kind === 'begin' && entity !== undefined) begins.set(entity.key, plan)
  }
  const before = new Map(plans.map((plan) => [plan, previousOf(plan, plans)]))
  // What nobody told of is only there for events that were about such things in the recording.
  const isTold: Suits = (one, { key }) => one.begun || !begins.has(key)
  const anything: Suits = () => true
  const suitsFor = ({ anatomy: { own, verb, contract } }: Compiled): Suits => {
    if (!startsInTheMiddle) return anything
    return !(own && verb.kind === 'begin') && startsInTheMiddle(contract.type) ? anything : isTold
  }
  const inTheMiddle = new Set(startsInTheMiddle ? plans.filter((plan) => suitsFor(plan) === anything) : [])
  const suiting = new Map(plans.map((plan) => [plan, suitsFor(plan)]))

  const settle = (plan: Compiled, asked: readonly Compiled[] = []): readonly [Compiled, Individual | undefined] => {
    const { entity, own, verb, owners, mentions } = plan.anatomy
    const way = [...asked, plan]
    const suits = suiting.get(plan) ?? anything
    const isMissing = (needed: Entity) =>
      world.populationOf(needed).choose(moment, (one) => isActive(one) && suits(one, needed)) === undefined
    // Things that belong to each other in a circle have to start somewhere.
    const firstOf = (needed: readonly Entity[]) =>
      needed.flatMap(({ key }) => begins.get(key) ?? []).find((one) => !way.includes(one))
    const unmentioned = mentions.length > 0 && !inTheMiddle.has(plan) ? firstOf(mentions.filter(isMissing)) : undefined
    if (unmentioned) return settle(unmentioned, way)
    if (entity === undefined) return [plan, undefined]
    const found = findSubject(plan, { world, moment, keep: kept.has(entity.key), suits })
    if (found) return [plan, found]
    if (inTheMiddle.has(plan)) return [plan, adopt(plan, world, moment)]
    const previous = before.get(plan)
    if (previous && !way.includes(previous)) return settle(previous, way)
    const needed = own && verb.kind === 'begin' ? owners.map((owner) => owner.entity).filter(isMissing) : [entity]
    const first = firstOf(needed)
    return first ? settle(first, way) : [plan, adopt(plan, world, moment)]
  }
  return settle
}

/** What brings a thing to where this event may happen: `assigned` before `completed`, a login before a logout. */
function previousOf({ anatomy: { verb, entity, own, stateField }, opened }: Compiled, plans: readonly Compiled[]) {
  const same = plans.filter(({ anatomy }) => anatomy.entity?.key === entity?.key && anatomy.own === own)
  if (!own && opened)
    return same.find(({ anatomy }) => anatomy.verb.kind === 'begin' && anatomy.stateField === stateField)
  if (!own || verb.kind !== 'phase') return undefined
  return same.find(({ anatomy: { verb: other, contract } }) => {
    if (verb.after) return verb.after.includes(contract.type) || verb.after.includes(wordOf(contract.type))
    return other.kind === 'phase' && other.rank === verb.needs && !other.end
  })
}

/** `--set` may have changed whom an event is about: the subject follows the id, with a sequence of its own. */
function createRetargeting() {
  const sequences = new Map<string, number>()
  return ({ anatomy }: Compiled, before: EvtEvent, after: EvtEvent): EvtEvent => {
    const [id, earlier] = [idOf(anatomy.idField, after), idOf(anatomy.idField, before)]
    const moved = id !== earlier && after.subject === before.subject
    const subject = moved ? `${anatomy.entity?.name}/${String(id)}` : after.subject
    if (subject === undefined || subject === before.subject) return after
    const sequence = (sequences.get(subject) ?? 0) + 1
    sequences.set(subject, sequence)
    return { ...after, subject, sequence }
  }
}

const idOf = (field: string | undefined, event: EvtEvent): unknown =>
  field === undefined ? undefined : (event.data as Readonly<Record<string, unknown>>)[field]

function addSubject(event: Draft, one: Individual): void {
  event.subject = one.subject
  event.sequence = one.sequence
  one.correlationId ??= event.id
  event.correlationId = one.correlationId
  if (one.tenant !== undefined) event.tenant = one.tenant
  const actor = firstOwner(one) ?? one
  if (actor.subject.startsWith('user/')) event.actor = { userId: String(actor.id) }
}

function firstOwner(one: Individual): Individual | undefined {
  for (const field in one.owners) return one.owners[field]
  return undefined
}
