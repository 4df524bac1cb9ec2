import type { Anatomy } from './anatomy.ts'
import type { Entity } from './entities.ts'
import type { Moment } from './moment.ts'
import { loadPools } from './pools.ts'
import { createPopulation, type Individual, type Population } from './population.ts'
import type { StatePlan } from './state.ts'
import { compileText } from './texts.ts'

/** Everything that exists at a virtual moment, so that events refer to things that are there. */
export interface World {
  populationOf(entity: Entity): Population
  /** A new thing. With `keep`, later events may be about it. */
  begin(
    entity: Entity,
    owners: Readonly<Record<string, Individual>>,
    state: StatePlan | undefined,
    keep: boolean,
    given?: Given,
  ): Individual
}

/** What is decided of a thing before it begins. */
interface Given {
  readonly id?: string | number
  readonly tenant?: string
}

/** With `tenants`, things without an owner belong to one of so many. `skew`: see `createPopulation`. */
export function createWorld(moment: Moment, tenants = 0, skew = 1): World {
  const populations = new Map<string, Population>()
  const ids = new Map<string, () => string | number>()
  const populationOf = ({ key }: Entity): Population => {
    const known = populations.get(key)
    if (known) return known
    const made = createPopulation(skew)
    populations.set(key, made)
    return made
  }
  const newId = (entity: Entity): string | number => {
    const known = ids.get(entity.key) ?? createIds(entity, moment)
    ids.set(entity.key, known)
    return known()
  }
  return {
    populationOf,
    begin(entity, owners, state, keep, given = {}) {
      const id = given.id ?? newId(entity)
      moment.newSalt()
      const one: Individual = {
        id,
        subject: `${entity.name}/${id}`,
        salt: moment.salt,
        sequence: 0,
        resting: false,
        gone: false,
        begun: false,
        finished: false,
        rank: 0,
        phase: undefined,
        facts: {},
        tenant:
          given.tenant ??
          tenantOf(entity, id, owners) ??
          (tenants > 0 ? `tenant-${1 + moment.below(tenants)}` : undefined),
        owners,
        state: state ? { [state.field]: state.begin(moment) } : {},
        correlationId: undefined,
      }
      if (keep) populationOf(entity).add(one)
      return one
    },
  }
}

/** A tenant is its own; what belongs to something is where that is. */
function tenantOf(
  entity: Entity,
  id: string | number,
  owners: Readonly<Record<string, Individual>>,
): string | undefined {
  if (entity.key === 'tenant') return String(id)
  for (const field in owners) if (owners[field]?.tenant !== undefined) return owners[field].tenant
  return undefined
}

const firstNumber = 1_000

function createIds({ name, id: shape }: Entity, moment: Moment): () => string | number {
  let last = firstNumber
  if (shape.kind === 'number') return () => ++last
  // Too short for a UUID: the start of one is only its time.
  if (shape.kind !== 'string' || shape.max < 36) return () => `${name.slice(0, 3)}-${++last}`
  const draw = compileText(`${name}_id`, shape, loadPools())
  return () => draw(moment)
}

/** Entities that some plan has to choose from, by key: others need not be remembered. */
export function remembered(anatomies: readonly Anatomy[]): ReadonlySet<string> {
  const entities = anatomies.flatMap(({ entity, verb, own, owners, mentions }) => [
    ...(entity !== undefined && !(own && verb.kind === 'begin') ? [entity.key] : []),
    ...owners.map((owner) => owner.entity.key),
    ...mentions.map(({ key }) => key),
  ])
  return new Set(entities)
}
