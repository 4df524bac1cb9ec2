import { EvtError } from '../../core/errors.ts'
import { createSchedule } from '../../core/pacer.ts'
import { createRegistry } from '../../core/registry.ts'
import { createScenarioGenerator } from '../../generators/scenario/scenario-generator.ts'
import { loadServices } from '../line/services.ts'
import type { Runtime } from '../runtime.ts'
import { findScenarios } from './find-scenarios.ts'
import { newSeed, startOf } from './seed.ts'
import type { EventSource, GenOptions } from './source.ts'
import { createStage } from './stage.ts'

/** Instances of scenarios; `--count` and `--rate` count instances. Throws EvtError before the first event when anything is wrong. */
export async function scenarioSource(
  words: readonly string[],
  options: GenOptions,
  runtime: Runtime,
): Promise<EventSource> {
  refuseUnfit(options)
  const services = await loadServices(runtime)
  const { asked, library } = await findScenarios(words, services, runtime.cwd)
  const schedule = options.rate ? createSchedule({ shape: options.rate }) : undefined
  const paced = schedule?.paced ? schedule : undefined
  const count = instancesOf(options, paced)
  const seed = options.seed ?? newSeed(runtime)
  const nowMs = runtime.now()
  const startMs = startOf(options, nowMs)
  const isNow = options.at === undefined && startMs === nowMs
  // Services answer now: steps that lay days apart would come before what they follow.
  const isHurried = isNow && !paced && !options.dryRun
  const everyMs = isHurried ? 1 : 100
  const speed = isHurried ? Infinity : options.speed
  const generator = (fromMs: number) =>
    createScenarioGenerator({
      registry: createRegistry(services.flatMap(({ contracts }) => contracts)),
      scenarios: asked,
      library,
      seed,
      nowMs: fromMs,
      arrivals: paced ?? { at: (k) => k * everyMs },
      ...(count === undefined ? {} : { count }),
      ...(speed === undefined ? {} : { speed }),
      ...(options.tenants === undefined ? {} : { tenants: options.tenants }),
      ...(options.weights ? { weights: options.weights } : {}),
      ...(options.corrupt ? { corrupt: { kinds: options.corrupt, ratio: options.ratio } } : {}),
    })
  const { most } = generator(startMs)
  // Without a rate think times take no time: then all of it lies in the past, so that no event's time is in the future.
  const isPast = isNow && !paced
  const stage = createStage({
    generator: generator(isPast ? startMs - ((count ?? 1) * everyMs + most.ms) : startMs),
    paced: paced !== undefined,
    durationMs: options.duration,
    ...(isNow ? { now: runtime.now } : {}),
  })
  return {
    name: undefined,
    total: count === 0 ? 0 : undefined,
    ...(count === undefined ? {} : { atMost: count * most.events }),
    schedule: undefined,
    durationMs: options.duration,
    keyed: false,
    where: options.where,
    take: () => [],
    stage,
    expects: most.expectations > 0,
  }
}

function refuseUnfit(options: GenOptions): void {
  if (options.set.length + options.setString.length > 0) {
    throw new EvtError('usage', 'cannot use --set with a scenario: its steps have fields of their own', {
      hint: 'write set: { data.plan: pro } in the step',
    })
  }
  if (options.learn !== undefined) {
    throw new EvtError('usage', 'cannot use --learn with a scenario: a run is like a recording, or of scenarios', {
      hint: 'start two',
    })
  }
  if (options.duration !== undefined && (options.rate === undefined || options.rate === 'max')) {
    throw new EvtError('usage', 'cannot play scenarios for --duration without --rate: think times would take none', {
      hint: '--rate 5 --duration 1m, or --count 100',
    })
  }
}

function instancesOf({ count, rate }: GenOptions, paced: { readonly total?: number } | undefined): number | undefined {
  const known = [count, paced?.total].filter((one) => one !== undefined)
  if (known.length > 0) return Math.min(...known)
  return rate === undefined || rate === 'max' ? 1 : undefined
}
