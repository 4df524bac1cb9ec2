import type { Contract } from '../core/contract.ts'
import { shapeOf } from '../core/json-shape.ts'
import type { Registry } from '../core/registry.ts'
import { type Anatomy, dissect } from './anatomy.ts'
import { findEntities } from './entities.ts'
import { collectFacts } from './facts.ts'
import type { Learned } from './learn/learned.ts'
import { compilePlan, isActive, type Plan } from './plan.ts'
import { loadPools } from './pools.ts'
import type { Stock } from './values.ts'
import type { World } from './world.ts'

/** Reads contracts among all those that are known, and compiles them for one world. */
export function createCompiler(registry: Registry, world: World, learned?: Learned) {
  const known = registry.types().flatMap((type) => registry.get(type) ?? [])
  const entities = findEntities(known)
  const facts = collectFacts(dissect(known.filter(isObject), entities))
  const stockOf = (type: string): Stock => ({
    pools: loadPools(),
    type,
    ...(learned
      ? {
          learned: (path: string) => learned.draw(type, path),
          presence: (path: string) => learned.presence(type, path),
        }
      : {}),
    refer(field) {
      const entity = entities.referred(field, type)
      if (!entity) return undefined
      return {
        choose: (moment) => world.populationOf(entity).choose(moment, isActive),
        copy: (other) => facts.copy(entity, other, 'another'),
      }
    },
  })
  return {
    anatomies: (contracts: readonly Contract[]): readonly Anatomy[] => dissect(contracts, entities),
    /** `selected` are all that may happen in the same stream. */
    compile(anatomy: Anatomy, selected: readonly Anatomy[]): Plan {
      const same = selected.filter(({ entity, own }) => entity?.key === anatomy.entity?.key && own === anatomy.own)
      return compilePlan(anatomy, {
        stock: stockOf(anatomy.contract.type),
        facts,
        ended: same.some(({ own, verb }) => own && verb.kind === 'end'),
        opened:
          !anatomy.own &&
          anatomy.verb.kind !== 'begin' &&
          same.some(({ verb, stateField }) => verb.kind === 'begin' && stateField === anatomy.stateField),
      })
    },
  }
}

const isObject = ({ schema }: Contract): boolean => shapeOf(schema).kind === 'object'
