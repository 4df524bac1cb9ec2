// Room generators: synthetic events from contracts alone. Knows core; may not know a store, a transport or a service.
import { EvtError } from '../core/errors.ts'
import type { EvtEvent } from '../core/event.ts'
import type { Registry } from '../core/registry.ts'
import { createCompiler } from './compiler.ts'
import { type Corruption, type CorruptOptions, compileCorrupt } from './corruption.ts'
import type { Learned } from './learn/learned.ts'
import { type Compiled, createMaker } from './maker.ts'
import { createMoment, type Moment } from './moment.ts'
import { type Assignment, compileOverrides } from './overrides.ts'
import { adopt, advance } from './plan.ts'
import { selectContracts } from './select.ts'
import { createSpoiler } from './spoiler.ts'
import { createWorld, remembered } from './world.ts'

export interface GeneratorOptions {
  readonly registry: Registry
  /** Names, `name@version`, or patterns. */
  readonly types: readonly string[]
  /** The same options, seed and `nowMs` give the same events, byte for byte. */
  readonly seed: number
  /** Virtual time of the first event, ms since the epoch. */
  readonly nowMs: number
  /** Virtual time of event k, ms after `nowMs`; never falls. Default: a millisecond each. */
  readonly schedule?: { at(k: number): number }
  readonly set?: readonly Assignment[]
  readonly corrupt?: CorruptOptions
  /** Shares by type, in place of the usual ones. */
  readonly weights?: Readonly<Record<string, number>>
  /** Things belong to so many tenants; default none but those that contracts name. */
  readonly tenants?: number
  /** Values as they were in recorded traffic. */
  readonly learned?: Learned
  /** Default `evt-gen`. */
  readonly source?: string
}

export interface Generator {
  /** The next event, complete. It may share structure with earlier ones: do not change it. */
  next(): EvtEvent
  /** Types that may come, in the order given. */
  readonly types: readonly string[]
  /** Corrupted events so far, by kind. */
  readonly corrupted: Readonly<Record<Corruption, number>>
}

/** Checks everything that can be wrong before the first event; throws EvtError('usage', 'unknown-type', 'unsupported'). */
export function createGenerator(options: GeneratorOptions): Generator {
  const { registry, set = [], corrupt } = options
  if (!Number.isSafeInteger(options.seed))
    throw new EvtError('usage', `cannot use seed ${options.seed}: it is a whole number`)
  const weighted = selectContracts(registry, options.types, options.weights)
  checkRatio(corrupt)
  const moment = createMoment(options.seed, options.nowMs)
  const { learned } = options
  const world = createWorld(moment, options.tenants, learned?.skew)
  const { anatomies, compile } = createCompiler(registry, world, learned)
  const selected = anatomies(weighted.map(({ contract }) => contract))
  const plans = selected.map(
    (anatomy): Compiled => ({
      ...compile(anatomy, selected),
      override: compileOverrides(anatomy.contract, set),
      corrupt: compileCorrupt(anatomy.contract),
    }),
  )
  checkSamples(plans, set.length > 0)
  const choose = createChoice(
    plans,
    weighted.map(({ weight }) => weight),
  )
  const make = createMaker({
    plans,
    kept: remembered(selected),
    world,
    moment,
    source: options.source ?? 'evt-gen',
    startsInTheMiddle: learned?.startsInTheMiddle,
  })
  const spoil = createSpoiler(corrupt, createMoment(options.seed ^ 0x5eed, options.nowMs))
  const at = options.schedule ? (k: number) => options.schedule?.at(k) ?? k : (k: number) => k
  let k = 0
  return {
    next() {
      moment.moveTo(options.nowMs + at(k++))
      const again = spoil.again()
      if (again) return again
      const [event, plan] = make(choose(moment))
      return spoil.apply(event, plan)
    },
    types: plans.map(({ anatomy }) => anatomy.contract.type),
    corrupted: spoil.counts,
  }
}

function createChoice(plans: readonly Compiled[], weights: readonly number[]): (moment: Moment) => Compiled {
  let sum = 0
  const bounds = weights.map((weight) => (sum += weight))
  const last = plans.at(-1) as Compiled
  return (moment) => {
    const drawn = moment.random() * sum
    return plans[bounds.findIndex((bound) => drawn < bound)] ?? last
  }
}

function checkRatio(corrupt: CorruptOptions | undefined): void {
  if (!corrupt || (corrupt.ratio >= 0 && corrupt.ratio <= 1)) return
  throw new EvtError('usage', `cannot corrupt a share of ${corrupt.ratio}: it is a number from 0 to 1`, {
    hint: '--ratio 1%',
  })
}

/** A contract may ask for what no plan can know, a pattern for example: better said now than by a million refusals. */
function checkSamples(plans: readonly Compiled[], overridden: boolean): void {
  if (overridden) return
  for (const plan of plans) {
    const moment = createMoment(1, 0)
    const { contract } = plan.anatomy
    for (let sample = 0; sample < 8; sample++) {
      const one = adopt(plan, createWorld(moment), moment)
      const result = contract.schema.safeParse(one ? advance(plan, one, moment) : plan.lone(moment))
      if (result.success) continue
      const issue = result.error.issues[0]
      const path = ['data', ...(issue?.path ?? [])].join('.')
      throw new EvtError(
        'unsupported',
        `cannot generate ${contract.type}: no value known for ${path}: ${issue?.message}`,
        {
          hint: `give one: --set ${path}=…`,
        },
      )
    }
  }
}
