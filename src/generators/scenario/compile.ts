import type { Contract } from '../../core/contract.ts'
import { parseDuration } from '../../core/duration.ts'
import { EvtError } from '../../core/errors.ts'
import { priorities } from '../../core/event.ts'
import { shapeOf } from '../../core/json-shape.ts'
import { compilePattern, isEventType } from '../../core/pattern.ts'
import { formatCount } from '../../core/quantity.ts'
import type { Registry } from '../../core/registry.ts'
import type { ExpectStep, IncludeStep, PublishStep, ScenarioStep } from '../../core/scenario.ts'
import { suggestion } from '../../core/suggest.ts'
import type { Compiled } from '../maker.ts'
import { findContract } from '../select.ts'
import { exampleAt, formatPath, type Path } from './check-shape.ts'
import { type PlacedScenario, problemAt } from './place.ts'
import type { Op, PublishOp, SetField } from './program.ts'
import { rangeOf } from './scenario-schema.ts'
import { shapeAt } from './shape-at.ts'
import { compileFill, parseTemplate, type Reference, referencesIn } from './templates.ts'

export interface CompileOptions {
  readonly registry: Registry
  /** What `include` finds, by name. */
  readonly library: ReadonlyMap<string, PlacedScenario>
  /** The same contract gives the same plan. */
  plan(contract: Contract): Compiled
}

/** Names that steps gave so far, with what they name. */
type Names = ReadonlyMap<string, Contract>

interface Scope {
  readonly scenario: PlacedScenario
  /** How it was included. */
  readonly way: readonly string[]
  /** Given by any step, sooner or later. */
  readonly allNames: ReadonlySet<string>
}

const envelope = ['tenant', 'source', 'priority', 'correlationId', 'causationId', 'traceparent']
/** What a reference may read beside `data` and `metadata`. */
const readable = ['id', 'type', 'version', 'subject', 'sequence', 'time', ...envelope]

/** Looks up every type, field and name. Throws EvtError('config') that names file, line and remedy. */
export function compileScenario(scenario: PlacedScenario, options: CompileOptions): readonly Op[] {
  return compileAll(scenario, [], new Map(), options).ops
}

function compileAll(scenario: PlacedScenario, way: readonly string[], names: Names, options: CompileOptions) {
  const { definition } = scenario
  const scope: Scope = { scenario, way: [...way, definition.scenario], allNames: new Set(namesIn(definition.steps)) }
  return compileSteps(definition.steps, ['steps'], names, scope, options)
}

function compileSteps(
  steps: readonly ScenarioStep[],
  at: Path,
  known: Names,
  scope: Scope,
  options: CompileOptions,
): { readonly ops: readonly Op[]; readonly names: Names } {
  const ops: Op[] = []
  let names = known
  // Among its neighbours: further in, and in what is included, a name may be taken anew.
  const own = new Set<string>()
  const inside = (inner: readonly ScenarioStep[], path: Path) => compileSteps(inner, path, names, scope, options).ops
  for (const [i, step] of steps.entries()) {
    const path = [...at, i]
    if ('publish' in step) {
      if (step.as !== undefined && own.has(step.as)) {
        throw fail(scope, [...path, 'as'], `${step.as}: a step before has that name`, 'give each a name of its own')
      }
      const contract = contractOf(step, path, scope, options.registry)
      ops.push(compilePublish(step, contract, { path, names, scope, options }))
      if (step.as === undefined) continue
      own.add(step.as)
      names = new Map([...names, [step.as, contract]])
    } else if ('think' in step) {
      ops.push({ kind: 'think', ms: numbers(rangeOf(step.think).map(parseDuration)) })
    } else if ('choose' in step) {
      const ways = step.choose.map((branch, b) => inside(branch.steps, [...path, 'choose', b, 'steps']))
      ops.push({ kind: 'choose', bounds: boundsOf(step.choose.map(({ share }) => share)), ways })
    } else if ('repeat' in step) {
      const times = numbers(rangeOf(String(step.repeat)).map(Number))
      ops.push({ kind: 'repeat', times, ops: inside(step.steps, [...path, 'steps']), path, origin: scope.scenario })
    } else if ('expect' in step) ops.push(compileExpect(step, { path, names, scope, options }))
    else {
      const included = compileAll(findIncluded(step, path, scope, options), scope.way, names, options)
      ops.push(...included.ops)
      if (ops.length > mostIncluded) throw fail(scope, [...path, 'include'], tooMany, 'use repeat')
      names = included.names
    }
  }
  return { ops, names }
}

/** Two that each include another twice, and so on, double with every level. */
const mostIncluded = 10_000
const tooMany = `with what it includes it has more than ${formatCount(mostIncluded)} steps`

const numbers = ([least = 0, most = least]: readonly number[]) => ({ least, most })

function boundsOf(shares: readonly number[]): readonly number[] {
  let sum = 0
  return shares.map((share, i) => (sum = i === shares.length - 1 ? 1 : sum + share))
}

const fail = ({ scenario }: Scope, path: Path, text: string, hint?: string): EvtError =>
  problemAt(scenario, { path, text: `${formatPath(path)}: ${text}`, hint })

function findIncluded({ include }: IncludeStep, path: Path, scope: Scope, { library }: CompileOptions): PlacedScenario {
  const at = [...path, 'include']
  const found = library.get(include)
  if (scope.way.includes(include)) {
    throw fail(scope, at, `it includes itself: ${[...scope.way, include].join(' → ')}`, 'use repeat, or leave it out')
  }
  if (found) return found
  const known = [...library.keys()]
  throw fail(
    scope,
    at,
    `there is no scenario ${include}`,
    suggestion(include, known) ?? `there are ${known.join(', ')}`,
  )
}

function contractOf({ publish }: PublishStep, path: Path, scope: Scope, registry: Registry): Contract {
  try {
    return findContract(registry, publish)
  } catch (error) {
    if (!(error instanceof EvtError)) throw error
    const reason = error.message.replace(/^cannot generate [^:]*: /, '')
    throw fail(scope, [...path, 'publish'], `${publish}: ${reason}`, error.hint)
  }
}

interface Place {
  readonly path: Path
  readonly names: Names
  readonly scope: Scope
  readonly options: CompileOptions
}

function compilePublish(step: PublishStep, contract: Contract, place: Place): PublishOp {
  const { path, names, scope, options } = place
  const plan = options.plan(contract)
  const set = Object.entries(step.set ?? {}).map(([text, value]) => compileSet(text, value, contract, place))
  const { idField, owners } = plan.anatomy
  const pinned = new Set([idField, ...owners.map(({ field }) => field)])
  if (step.subject !== undefined) {
    const withItself = step.as === undefined ? names : new Map([...names, [step.as, contract]])
    checkReferences(step.subject, [...path, 'subject'], withItself, scope)
  }
  if (step.causedBy !== undefined && !names.has(step.causedBy)) {
    throw unknownName(step.causedBy, [...path, 'causedBy'], names, scope)
  }
  return {
    kind: 'publish',
    plan,
    name: step.as,
    set,
    pins: set.flatMap(({ path: [root, field, ...rest], fill }) =>
      root === 'data' && field !== undefined && rest.length === 0 && pinned.has(field) ? [{ field, fill }] : [],
    ),
    addsUp: plan.addUp !== undefined && !set.some(({ path: to }) => /total/i.test(to.at(-1) ?? '')),
    subject: step.subject === undefined ? undefined : compileFill(step.subject),
    causedBy: step.causedBy,
    path,
    origin: scope.scenario,
  }
}

function compileSet(text: string, value: unknown, contract: Contract, { path, names, scope }: Place): SetField {
  const at = [...path, 'set', text]
  checkReferences(value, at, names, scope)
  const [root = '', ...rest] = text.split('.')
  const parts = [root, ...rest]
  if (root === 'metadata' && rest.length > 0) return { path: ['metadata', rest.join('.')], fill: compileFill(value) }
  if (rest.length === 0 && envelope.includes(root)) {
    if (root === 'priority' && !priorities.some((one) => one === value)) {
      throw fail(scope, at, `expected one of ${priorities.join(', ')}`, 'set: { priority: high }')
    }
    return { path: parts, fill: compileFill(value) }
  }
  if (root === 'data') {
    const found = shapeAt(shapeOf(contract.schema), rest)
    if (rest.length > 0 && found.shape) return { path: parts, fill: compileFill(value) }
    const named = found.paths.map((one) => `data.${one}`)
    throw fail(scope, at, `${contract.type} v${contract.version} has no such field`, lackHint(text, named))
  }
  throw fail(scope, at, 'an event has no such field', lackHint(text, ['data', 'metadata', ...envelope]))
}

const lackHint = (text: string, known: readonly string[]): string =>
  suggestion(text, known) ?? `there are ${known.join(', ')}`

function checkReferences(value: unknown, path: Path, names: Names, scope: Scope): void {
  for (const one of referencesIn(value)) checkReference(one, path, names, scope)
}

function checkReference(one: Reference, path: Path, names: Names, scope: Scope): void {
  if (!one.text.endsWith('}')) {
    throw fail(scope, path, `${one.text}: it is not closed`, 'close it with }, or write $${ for a plain one')
  }
  const contract = names.get(one.name)
  if (!contract) throw unknownName(one.name, path, names, scope, one.text)
  const [root = '', ...rest] = one.path
  if (root === 'metadata' || (rest.length === 0 && readable.includes(root))) return
  const found = root === 'data' ? shapeAt(shapeOf(contract.schema), rest) : undefined
  if (found?.shape) return
  const known = found ? found.paths.map((field) => `data.${field}`) : ['data', ...readable]
  const near = suggestion(one.path.join('.'), known)
  const reason = root === '' ? 'it says no field' : `${contract.type} v${contract.version} has no ${one.path.join('.')}`
  throw fail(scope, path, `${one.text}: ${reason}`, near ?? `there are ${known.join(', ')}`)
}

function unknownName(name: string, path: Path, names: Names, scope: Scope, shown = name): EvtError {
  const known = [...names.keys()]
  if (scope.allNames.has(name)) {
    const reason = 'the step of that name comes later, is this one, or stands in a branch that may not be taken'
    return fail(scope, path, `${shown}: ${reason}`, 'refer to a step before it, at the same level or further out')
  }
  const others = known.length > 0 ? `names so far: ${known.join(', ')}` : 'name the step before: as: user'
  return fail(scope, path, `${shown}: no step has that name`, suggestion(name, known) ?? others)
}

function namesIn(steps: readonly ScenarioStep[]): readonly string[] {
  return steps.flatMap((step) => {
    if ('publish' in step) return step.as === undefined ? [] : [step.as]
    if ('choose' in step) return step.choose.flatMap((branch) => namesIn(branch.steps))
    return 'repeat' in step ? namesIn(step.steps) : []
  })
}

const defaultWithinMs = 5_000

function compileExpect({ expect, where, within }: ExpectStep, { path, names, scope, options }: Place): Op {
  if (where !== undefined) checkReferences(where, [...path, 'where'], names, scope)
  const types = options.registry.types()
  let matches: boolean
  try {
    matches = options.registry.matching(compilePattern(expect)).length > 0
  } catch (error) {
    if (!(error instanceof EvtError)) throw error
    throw fail(scope, [...path, 'expect'], error.message, error.hint ?? exampleAt(['expect']))
  }
  if (!matches) {
    const known = isEventType(expect) ? suggestion(expect, types) : undefined
    throw fail(
      scope,
      [...path, 'expect'],
      `${expect}: no contract of that type`,
      known ?? `known types: ${types.join(', ')}`,
    )
  }
  return {
    kind: 'expect',
    pattern: expect,
    where: where === undefined ? undefined : parseTemplate(where),
    withinMs: within === undefined ? defaultWithinMs : parseDuration(within),
    path,
    origin: scope.scenario,
  }
}
