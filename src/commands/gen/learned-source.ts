import { createSchedule } from '../../core/pacer.ts'
import { createRegistry } from '../../core/registry.ts'
import { createGenerator } from '../../generators/generator.ts'
import { inferredContracts, learnedFrom, learnedSchedule } from '../../generators/learn/learned.ts'
import { isContractType } from '../../generators/learn/write-contracts.ts'
import { loadRegistry } from '../line/services.ts'
import type { Runtime } from '../runtime.ts'
import { generated } from './generated.ts'
import { learnFrom } from './learn.ts'
import { newSeed, startOf } from './seed.ts'
import type { EventSource, GenOptions } from './source.ts'

/** Events like those of a recording: its mix, its pace, its busy subjects, its values but nobody's own. */
export async function learnedSource(
  types: readonly string[],
  file: string,
  options: GenOptions,
  runtime: Runtime,
): Promise<EventSource> {
  const known = await loadRegistry(runtime)
  const profile = await learnFrom(file, known, runtime)
  const registry = createRegistry([
    ...known.types().flatMap((type) => known.get(type) ?? []),
    ...inferredContracts(profile, known),
  ])
  const learnt = [...profile.types.keys()].filter((type) => isContractType(type) && registry.get(type))
  const seed = options.seed ?? newSeed(runtime)
  const asked = options.rate ? createSchedule({ shape: options.rate }) : undefined
  const own = learnedSchedule(profile, seed, options.speed ?? 1)
  const paced = asked?.paced ? asked : options.speed === undefined ? undefined : { ...own, paced: true as const }
  const total = options.count ?? (asked?.paced || options.duration !== undefined ? asked?.total : profile.events)
  const nowMs = startOf(options, runtime.now())
  const generator = createGenerator({
    registry,
    types: types.length > 0 ? types : learnt,
    seed,
    // At full speed it lies in the past, with the gaps that there were.
    nowMs: paced || options.at !== undefined ? nowMs : nowMs - own.at(total ?? 0),
    schedule: paced ?? own,
    set: [...options.set, ...options.setString],
    weights:
      options.weights ??
      (types.length > 0 ? {} : Object.fromEntries(learnt.map((type) => [type, profile.types.get(type)?.count ?? 0]))),
    learned: learnedFrom(profile),
    ...(options.corrupt ? { corrupt: { kinds: options.corrupt, ratio: options.ratio } } : {}),
    ...(options.tenants === undefined ? {} : { tenants: options.tenants }),
  })
  return generated(generator, { total, schedule: paced }, options)
}
