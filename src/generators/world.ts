import type { Anatomy } from './anatomy.ts'
import type { Moment } from './moment.ts'
import { createPopulation, type Individual, type Population } from './population.ts'
import type { StatePlan } from './state.ts'

/** Everything that exists at a virtual moment, so that events refer to things that are there. */
export interface World {
  populationOf(entity: string): Population
  /** A new thing. With `keep`, later events may be about it. */
  begin(
    entity: string,
    owners: Readonly<Record<string, Individual>>,
    state: StatePlan | undefined,
    keep: boolean,
  ): Individual
}

export function createWorld(moment: Moment): World {
  const populations = new Map<string, Population>()
  const populationOf = (entity: string): Population => {
    const known = populations.get(entity)
    if (known) return known
    const made = createPopulation()
    populations.set(entity, made)
    return made
  }
  return {
    populationOf,
    begin(entity, owners, state, keep) {
      const id = moment.uuid()
      const one: Individual = {
        id,
        subject: `${entity}/${id}`,
        sequence: 0,
        resting: false,
        gone: false,
        owners,
        state: state ? { [state.field]: state.begin(moment) } : {},
        correlationId: undefined,
      }
      if (keep) populationOf(entity).add(one)
      return one
    },
  }
}

/** Entities that some plan has to choose from: others need not be remembered. */
export function remembered(anatomies: readonly Anatomy[]): ReadonlySet<string> {
  const entities = anatomies.flatMap(({ entity, verb, own, owners }) => [
    ...(entity !== undefined && !(own && verb.kind === 'begin') ? [entity] : []),
    ...owners.map((owner) => owner.entity),
  ])
  return new Set(entities)
}
