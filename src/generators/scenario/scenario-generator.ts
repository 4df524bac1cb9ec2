import type { Contract } from '../../core/contract.ts'
import { EvtError } from '../../core/errors.ts'
import type { EvtEvent } from '../../core/event.ts'
import { shapeOf } from '../../core/json-shape.ts'
import { compilePattern } from '../../core/pattern.ts'
import type { Registry } from '../../core/registry.ts'
import { suggestion } from '../../core/suggest.ts'
import { parseExpression } from '../../core/where/parser.ts'
import { compileWhere, eventFields } from '../../core/where.ts'
import { createCompiler } from '../compiler.ts'
import { type Corruption, type CorruptOptions, compileCorrupt } from '../corruption.ts'
import type { Compiled } from '../maker.ts'
import { createMoment } from '../moment.ts'
import { createSpoiler } from '../spoiler.ts'
import { createWorld } from '../world.ts'
import { checkBounds } from './check-bounds.ts'
import { type CompileOptions, compileScenario } from './compile.ts'
import { createDueQueue } from './due-queue.ts'
import { createInstance, type Instance } from './instance.ts'
import type { PlacedScenario } from './place.ts'
import { type Expectation, most, type Op } from './program.ts'
import { rehearse } from './rehearse.ts'
import { shapeAt } from './shape-at.ts'

export interface ScenarioGeneratorOptions {
  readonly registry: Registry
  /** Those that are played. */
  readonly scenarios: readonly PlacedScenario[]
  /** What they may include; default the scenarios themselves. */
  readonly library?: readonly PlacedScenario[]
  /** Shares by name; default all the same. */
  readonly weights?: Readonly<Record<string, number>>
  /** Default by chance, as their weights say. In turn: one after the other, as they are listed. */
  readonly order?: 'by-chance' | 'in-turn'
  /** The same options, seed and `nowMs` give the same items, byte for byte. */
  readonly seed: number
  /** Virtual time of the first instance's start, ms since the epoch. */
  readonly nowMs: number
  /** When instance k starts, ms after `nowMs`; never falls. Default: ten a second. */
  readonly arrivals?: { at(k: number): number }
  /** Instances in all; default without end. */
  readonly count?: number
  /** Think times are shorter by this factor; default 1. */
  readonly speed?: number
  readonly corrupt?: CorruptOptions
  /** Each instance belongs to one of so many. */
  readonly tenants?: number
  /** Default `evt-gen`. */
  readonly source?: string
}

/** What an instance does next, or waits for. */
export type ScenarioItem = {
  /** Ms after `nowMs`; never falls from item to item. */
  readonly dueMs: number
  /** From 1. */
  readonly instance: number
  readonly scenario: string
} & ({ readonly event: EvtEvent } | { readonly expectation: Expectation })

export interface ScenarioGenerator {
  /** Undefined at the end. */
  next(): ScenarioItem | undefined
  /** Names of those that are played. */
  readonly scenarios: readonly string[]
  /** What one instance does at most. */
  readonly most: { readonly events: number; readonly expectations: number; readonly ms: number }
  readonly corrupted: Readonly<Record<Corruption, number>>
}

/** Checks everything that can be wrong before the first event; throws EvtError('config', 'usage', 'unsupported'). */
export function createScenarioGenerator(options: ScenarioGeneratorOptions): ScenarioGenerator {
  const { scenarios, seed, nowMs, speed = 1, tenants = 0, count = Infinity } = options
  const [moment, spoilt] = [createMoment(seed, nowMs), createMoment(seed ^ 0x5eed, nowMs)]
  const world = createWorld(moment)
  const compile = compilerOf(options, world)
  check(options)
  const programs = scenarios.map((one) => ({ name: one.definition.scenario, ops: compile(one) }))
  const pick = createPick(options, moment)
  const spoil = createSpoiler(options.corrupt, spoilt)
  const at = (k: number) => (k >= count ? Infinity : (options.arrivals?.at(k) ?? k * 100))
  const queue = createDueQueue<Instance>()
  const stage = { world, moment, source: options.source ?? 'evt-gen', speed }
  let [started, arrivalMs] = [0, at(0)]

  const start = (): void => {
    moment.moveTo(nowMs + arrivalMs)
    const { name, ops } = programs[pick()] as (typeof programs)[number]
    const tenant = tenants > 0 ? `tenant-${1 + moment.below(tenants)}` : undefined
    queue.push(createInstance({ number: ++started, scenario: name, ops, tenant, dueMs: arrivalMs }))
    arrivalMs = at(started)
  }
  let last: ScenarioItem | undefined
  /** What came in place of it was the event before it once more. */
  let held: (() => ScenarioItem) | undefined
  return {
    next() {
      if (held) {
        const item = held()
        held = undefined
        return item
      }
      for (;;) {
        while (arrivalMs < Infinity && arrivalMs <= (queue.first?.dueMs ?? Infinity)) start()
        const instance = queue.first
        if (!instance) return undefined
        const { dueMs, number, scenario } = instance
        moment.moveTo(nowMs + dueMs)
        const done = instance.step(stage)
        if (done === undefined) queue.shift()
        else if (done === 'waits') queue.sink()
        else {
          queue.sink()
          if ('pattern' in done) return { dueMs, instance: number, scenario, expectation: done }
          const again = spoil.again()
          const go = () => (last = { dueMs, instance: number, scenario, event: spoil.apply(done.event, done.plan) })
          if (!again || !last) return go()
          held = go
          return { ...last, dueMs, event: again }
        }
      }
    },
    scenarios: programs.map(({ name }) => name),
    most: {
      events:
        maximum(programs, (op) => Number(op.kind === 'publish')) *
        (options.corrupt?.kinds.includes('duplicate') ? 2 : 1),
      expectations: maximum(programs, (op) => Number(op.kind === 'expect')),
      ms: maximum(programs, (op) => (op.kind === 'think' ? op.ms.most / speed : 1)),
    },
    corrupted: spoil.counts,
  }
}

const maximum = (programs: readonly { readonly ops: readonly Op[] }[], of: Parameters<typeof most>[1]): number =>
  Math.max(...programs.map(({ ops }) => most(ops, of)))

/** Contracts are compiled once, for all scenarios of one world. */
function compilerOf(
  { registry, scenarios, library = scenarios }: ScenarioGeneratorOptions,
  world: ReturnType<typeof createWorld>,
) {
  const compiler = createCompiler(registry, world)
  const plans = new Map<string, Compiled>()
  const options: CompileOptions = {
    registry,
    library: new Map(library.map((one) => [one.definition.scenario, one])),
    plan(contract) {
      const key = `${contract.type}@${contract.version}`
      const known = plans.get(key)
      if (known) return known
      const [anatomy] = compiler.anatomies([contract])
      if (!anatomy) throw new EvtError('internal', `cannot read the contract of ${key}`)
      const made = {
        ...compiler.compile(anatomy, [anatomy]),
        override: (event: EvtEvent) => event,
        corrupt: compileCorrupt(contract),
      }
      plans.set(key, made)
      return made
    },
  }
  return (scenario: PlacedScenario) => compileScenario(scenario, options)
}

/** In a world of its own, so that what is tried leaves no traces. */
function check(options: ScenarioGeneratorOptions): void {
  if (!Number.isSafeInteger(options.seed)) {
    throw new EvtError('usage', `cannot use seed ${options.seed}: it is a whole number`)
  }
  const moment = createMoment(1, 0)
  const world = createWorld(moment)
  const compile = compilerOf(options, world)
  const checkWhere = (text: string, pattern: string) => {
    compileWhere(text, { nowMs: 0, fields: eventFields })
    parseExpression(text, ({ segments }) => lackingField(segments, options.registry.matching(compilePattern(pattern))))
  }
  for (const scenario of options.scenarios) {
    const ops = compile(scenario)
    checkBounds(scenario, ops)
    rehearse(ops, { world, moment, source: 'evt-gen', checkWhere })
  }
}

function createPick(
  { scenarios, weights, order }: ScenarioGeneratorOptions,
  moment: { random(): number },
): () => number {
  const names = scenarios.map(({ definition }) => definition.scenario)
  for (const name of Object.keys(weights ?? {})) {
    if (names.includes(name)) continue
    throw new EvtError('usage', `cannot weigh ${name}: it is not among the scenarios`, {
      hint: `they are ${names.join(', ')}`,
    })
  }
  const shares = names.map((name) => weights?.[name] ?? 1)
  const sum = shares.reduce((all, share) => all + share, 0)
  if (!(sum > 0)) throw new EvtError('usage', 'cannot play scenarios: every weight is 0')
  if (shares.length === 1) return () => 0
  if (order === 'in-turn') {
    let turn = 0
    return () => turn++ % shares.length
  }
  const bounds = shares.map((_, i) => shares.slice(0, i + 1).reduce((all, share) => all + share, 0))
  return () => {
    const drawn = moment.random() * sum
    return bounds.findIndex((bound) => drawn < bound)
  }
}

/** Why none of the contracts has the field, of which `length` is every list's and text's. */
function lackingField([root, ...path]: readonly string[], contracts: readonly Contract[]): string | undefined {
  const parts = path.at(-1) === 'length' ? path.slice(0, -1) : path
  const found = contracts.map(({ schema }) => shapeAt(shapeOf(schema), parts))
  if (root !== 'data' || found.some(({ shape }) => shape !== undefined)) return undefined
  const known = [...new Set(found.flatMap(({ paths }) => paths.map((one) => `data.${one}`)))]
  const named = ['data', ...path].join('.')
  return `there is no field ${named}: ${suggestion(named, known) ?? `there are ${known.join(', ')}`}`
}
