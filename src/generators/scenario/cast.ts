import type { EvtEvent } from '../../core/event.ts'
import { type Draft, draftOf } from '../draft.ts'
import type { Compiled } from '../maker.ts'
import type { Moment } from '../moment.ts'
import { withPath } from '../paths.ts'
import { chooseOrBegin, findReady } from '../plan.ts'
import type { Individual } from '../population.ts'
import type { World } from '../world.ts'
import type { PublishOp } from './program.ts'
import type { Lookup } from './templates.ts'

/** What one instance of a scenario is about, and what has happened in it. */
export interface Cast {
  /** The latest thing of each kind. */
  readonly things: Map<string, Individual>
  /** All of them by id, for steps that say which. */
  readonly byId: Map<string, Individual>
  readonly events: Map<string, EvtEvent>
  readonly tenant: string | undefined
  last: EvtEvent | undefined
  correlationId: string | undefined
}

/** Nothing has happened yet. */
export const createCast = (tenant?: string): Cast => ({
  things: new Map(),
  byId: new Map(),
  events: new Map(),
  tenant,
  last: undefined,
  correlationId: undefined,
})

export interface Stage {
  readonly world: World
  readonly moment: Moment
  readonly source: string
}

/** The event of a step: about the things of its instance, caused by the step before. */
export function perform(op: PublishOp, cast: Cast, { world, moment, source }: Stage): EvtEvent {
  const { plan } = op
  const lookup: Lookup = (name) => cast.events.get(name)
  const pins = new Map(op.pins.map(({ field, fill }) => [field, fill(lookup)]))
  const one = findThing(plan, cast, pins, { world, moment, source })
  const event = draftOf(plan, one, { moment, source })
  if (one) about(event, one)
  else if (cast.tenant !== undefined) event.tenant = cast.tenant
  follow(event, op, cast)
  fillIn(event, op, lookup)
  if (one) remember(plan, one, event)
  if (op.name !== undefined) cast.events.set(op.name, event)
  if (op.subject) event.subject = String(op.subject(lookup))
  cast.last = event
  return event
}

function follow(event: Draft, { causedBy }: PublishOp, cast: Cast): void {
  cast.correlationId ??= event.id
  event.correlationId = cast.correlationId
  const cause = causedBy === undefined ? cast.last : cast.events.get(causedBy)
  if (cause) event.causationId = cause.id
}

function about(event: Draft, one: Individual): void {
  event.subject = one.subject
  event.sequence = one.sequence
  if (one.tenant !== undefined) event.tenant = one.tenant
  let actor = one
  for (const field in one.owners) {
    actor = one.owners[field] as Individual
    break
  }
  if (actor.subject.startsWith('user/')) event.actor = { userId: String(actor.id) }
}

function fillIn(event: Draft, { set, addsUp, plan }: PublishOp, lookup: Lookup): void {
  if (set.length === 0) return
  let changed: EvtEvent = event
  for (const { path, fill } of set) {
    const value = fill(lookup)
    // A field that the earlier event had the choice to leave out stays as drawn.
    if (value !== undefined) changed = withPath(changed, path, value) as EvtEvent
  }
  Object.assign(event, changed)
  if (!addsUp) return
  const data = { ...(event.data as Record<string, unknown>) }
  plan.addUp?.(data)
  event.data = data
}

/** What the scenario said of a thing holds from then on. */
function remember({ anatomy, state }: Compiled, one: Individual, { data }: EvtEvent): void {
  const said = data as Readonly<Record<string, unknown>>
  if (state && one.state[state.field])
    one.state = { ...one.state, [state.field]: said[state.field] as Individual['facts'] }
  if (anatomy.own && anatomy.verb.kind === 'begin') one.facts = said
}

function findThing(
  plan: Compiled,
  cast: Cast,
  pins: ReadonlyMap<string, unknown>,
  { world, moment }: Stage,
): Individual | undefined {
  const { entity, own, verb, idField, owners } = plan.anatomy
  if (entity === undefined) return undefined
  const pinned = idField === undefined ? undefined : pins.get(idField)
  const named = pinned === undefined ? undefined : cast.byId.get(String(pinned))
  const present = named ?? (pinned === undefined ? cast.things.get(entity.key) : undefined)
  if (present && !(own && verb.kind === 'begin')) return enter(cast, entity.key, present)
  const isOfTenant = (one: Individual) => cast.tenant === undefined || one.tenant === cast.tenant
  if (pinned === undefined && !(own && verb.kind === 'begin')) {
    const found = findReady(plan, world, moment, isOfTenant)
    if (found) return enter(cast, entity.key, found)
  }
  const theirs: Record<string, Individual> = {}
  for (const { field, entity: owner } of owners) {
    const id = pins.get(field)
    theirs[field] =
      (id === undefined ? cast.things.get(owner.key) : cast.byId.get(String(id))) ??
      chooseOrBegin(owner, world, moment, isOfTenant)
  }
  for (const field in theirs) {
    const inner = theirs[field]?.owners ?? {}
    for (const other in inner) if (other in theirs && !pins.has(other)) theirs[other] = inner[other] as Individual
  }
  const one = world.begin(entity, theirs, own ? plan.state : undefined, true, {
    ...(pinned === undefined ? {} : { id: pinned as string | number }),
    ...(cast.tenant === undefined ? {} : { tenant: cast.tenant }),
  })
  return enter(cast, entity.key, one)
}

function enter(cast: Cast, key: string, one: Individual): Individual {
  cast.things.set(key, one)
  cast.byId.set(String(one.id), one)
  return one
}
