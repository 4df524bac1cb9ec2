import type { z } from 'zod'
import { parseDuration } from '../../core/duration.ts'
import type { ScenarioStep } from '../../core/scenario.ts'
import { suggestion } from '../../core/suggest.ts'
import { checkDepth } from './check-depth.ts'
import { fieldExamples, rangeOf, scenarioSchema, stepKeys } from './scenario-schema.ts'

export type Path = readonly (string | number)[]

/** Something wrong with a scenario, and where in it. */
export interface Problem {
  readonly path: Path
  readonly text: string
  readonly hint?: string | undefined
}

/** What is wrong with `value` before any contract is looked at; [] when it is a ScenarioDefinition. */
export function checkShape(value: unknown): readonly Problem[] {
  const deep = checkDepth(value)
  if (deep) return [{ path: deep.path, text: `${formatPath(deep.path.slice(0, 8))}: ${deep.reason}`, hint: deep.hint }]
  const result = scenarioSchema.safeParse(value)
  if (!result.success) return result.error.issues.map((issue) => toProblem(issue, value))
  return result.data.steps.flatMap((one, i) => checkNumbers(one, ['steps', i]))
}

/** `steps.2.choose.0` as people count: `steps[2].choose[0]`. */
export const formatPath = (path: Path): string =>
  path.map((part, i) => (typeof part === 'number' ? `[${part}]` : i > 0 ? `.${part}` : part)).join('')

function toProblem(issue: z.core.$ZodIssue, value: unknown): Problem {
  const path = issue.path as Path
  const at = path.length > 0 ? `${formatPath(path)}: ` : ''
  if (issue.code === 'invalid_union') {
    const inner = problemOfStep(issue, path, valueAt(value, path))
    if (inner) return inner
  }
  if (issue.code === 'unrecognized_keys') return unknownKey(issue.keys[0] ?? '', keysAt(path, value), path)
  const missing = issue.code === 'invalid_type' && valueAt(value, path) === undefined
  const text = missing ? 'is missing' : issue.message.replace(/^Invalid input: /, '')
  return { path, text: `${at}${text}`, hint: exampleAt(path) }
}

/** Of the innermost field that has one. */
export function exampleAt(path: Path): string {
  const field = path.findLast((part) => Object.hasOwn(fieldExamples, part))
  return field === undefined ? exampleHint : (fieldExamples[field] ?? exampleHint)
}

/** Keys of the scenario, of a branch, of a step. */
function keysAt(path: Path, value: unknown): readonly string[] {
  if (path.length === 0) return ['scenario', 'summary', 'steps']
  if (path.at(-2) === 'choose') return ['share', 'steps']
  const kind = kindOf(valueAt(value, path) as object)
  return kind === undefined ? Object.keys(stepKeys) : [kind, ...(stepKeys[kind] ?? [])]
}

const kindOf = (step: object): string | undefined => Object.keys(stepKeys).find((one) => Object.hasOwn(step, one))

const exampleHint = 'a scenario has the keys scenario, summary and steps: docs/generating.md has examples'

/** Of the six kinds of steps, what is wrong with the one that was meant. */
function problemOfStep(issue: z.core.$ZodIssueInvalidUnion, path: Path, step: unknown): Problem | undefined {
  const kinds = Object.keys(stepKeys)
  if (typeof path.at(-1) !== 'number') return undefined
  const at = formatPath(path)
  if (typeof step !== 'object' || step === null || Array.isArray(step)) {
    return { path, text: `${at}: a step is an object with one of ${kinds.join(', ')}`, hint: '- publish: user.created' }
  }
  const keys = Object.keys(step)
  const kind = kindOf(step)
  if (kind === undefined) {
    const hints = keys.map((key) => suggestion(key, kinds)).find((one) => one !== undefined)
    return { path, text: `${at}: it has none of ${kinds.join(', ')}`, hint: hints ?? '- publish: user.created' }
  }
  const known = [kind, ...(stepKeys[kind] ?? [])]
  const unknown = keys.find((key) => !known.includes(key))
  if (unknown !== undefined) return unknownKey(unknown, known, path)
  const found = issue.errors[kinds.indexOf(kind)]?.[0]
  if (!found) return undefined
  const innerPath = [...path, ...(found.path as Path)]
  if (found.code !== 'invalid_union') return toProblem({ ...found, path: innerPath }, rootedAt(path, step))
  const deeper = found.errors.flat()[0]
  return (
    problemOfStep(found, innerPath, valueAt(step, found.path as Path)) ?? {
      path: innerPath,
      text: `${formatPath(innerPath)}: ${deeper?.message.replace(/^Invalid input: /, '') ?? found.message}`,
      hint: exampleAt(innerPath),
    }
  )
}

/** A root in which `step` stands at `path`, so that what is missing in it can be told from what is wrong. Returns that root. */
const rootedAt = (path: Path, step: unknown): unknown =>
  path.reduceRight<unknown>((value, part) => ({ [part]: value }), step)

function unknownKey(key: string, known: readonly string[], path: Path): Problem {
  const at = path.length > 0 ? `${formatPath(path)}: ` : ''
  return {
    path: [...path, key],
    text: `${at}there is no key ${JSON.stringify(key)} here`,
    hint: suggestion(key, known) ?? `keys: ${known.join(', ')}`,
  }
}

const valueAt = (value: unknown, path: Path): unknown =>
  path.reduce<unknown>((inner, part) => (inner as Record<string | number, unknown> | undefined)?.[part], value)

/** Shares that do not sum, ranges that run backwards. */
function checkNumbers(step: ScenarioStep, path: Path): readonly Problem[] {
  const problems: Problem[] = []
  const inside = (steps: readonly ScenarioStep[], at: Path) =>
    problems.push(...steps.flatMap((one, i) => checkNumbers(one, [...at, 'steps', i])))
  if ('choose' in step) {
    const sum = step.choose.reduce((total, { share }) => total + share, 0)
    if (Math.abs(sum - 1) > 1e-6) {
      problems.push({
        path: [...path, 'choose'],
        text: `${formatPath([...path, 'choose'])}: the shares sum to ${Number(sum.toFixed(6))}, not to 1`,
        hint:
          sum < 1
            ? `a branch without steps may hold the rest: { share: ${rest(sum)}, steps: [] }`
            : 'each is a part of 1: 0.8 and 0.2',
      })
    }
    for (const [i, { steps }] of step.choose.entries()) inside(steps, [...path, 'choose', i])
  }
  if ('repeat' in step) {
    const [from = 0, to = from] = rangeOf(String(step.repeat)).map(Number)
    if (from > to) problems.push(backwards([...path, 'repeat'], step.repeat))
    inside(step.steps, path)
  }
  if ('think' in step) {
    const [from = 0, to = from] = rangeOf(step.think).map(parseDuration)
    if (from > to) problems.push(backwards([...path, 'think'], step.think))
  }
  return problems
}

const rest = (sum: number): number => Number((1 - sum).toFixed(6))
const backwards = (path: Path, range: unknown): Problem => ({
  path,
  text: `${formatPath(path)}: ${String(range)} runs backwards`,
  hint: `the smaller one first: ${rangeOf(String(range)).toReversed().join('..')}`,
})
