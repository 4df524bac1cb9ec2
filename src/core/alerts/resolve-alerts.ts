import { parseDuration } from '../duration.ts'
import { EvtError, toError } from '../errors.ts'
import { assertKnownKeys, type KeysOf } from '../known-keys.ts'
import { compilePatterns, patternExpression } from '../pattern.ts'
import { suggestion } from '../suggest.ts'
import { parseExpression } from '../where/parser.ts'
import type { Path } from '../where/tree.ts'
import { compileWhere, eventFields, type Where } from '../where.ts'
import {
  type AbsenceCondition,
  type AlertRule,
  type EventCondition,
  type EventSelector,
  type Grouping,
  groupings,
  type Severity,
  severities,
} from './alert-rule.ts'
import { defaultAlerts } from './defaults.ts'
import { alertFacts, type EachOf, eachOf, type FactRoot } from './facts.ts'
import { type Reasons, reasonsOf } from './reasons.ts'

export interface MetricTest {
  readonly kind: 'metric'
  readonly where: Where
  /** For each of these; undefined: once. */
  readonly each: EachOf | undefined
  /** What the alert shows with their values; `handler.failedPerMinute`. */
  readonly reasons: Reasons
}

export interface EventTest {
  /** Types that can match, as `patternExpression` writes them: other events need not be read. */
  readonly expression: string
  /** It has an expression over the whole event: without one, type and keys are enough. */
  readonly looksInside: boolean
  matches(event: { readonly type: string }): boolean
}

export type EventPattern =
  | {
      readonly kind: 'count'
      readonly of: EventTest
      readonly atLeast: number
      readonly withinMs: number
      readonly by: Grouping
    }
  | {
      readonly kind: 'sequence'
      readonly steps: readonly EventTest[]
      readonly withinMs: number
      readonly by: Grouping
    }
  | {
      readonly kind: 'absence'
      readonly after: EventTest
      readonly of: EventTest
      readonly withinMs: number
      readonly by: Grouping
    }

/** A type that is expected; `withinMs` undefined: as it used to come. */
export interface Expectation {
  readonly kind: 'expected'
  matches(type: string): boolean
  readonly withinMs: number | undefined
}

export interface AlertConfig {
  readonly name: string
  readonly when: MetricTest | EventPattern | Expectation
  /** What it says, for people; a change of it is another rule. */
  readonly text: string
  readonly forMs: number
  readonly severity: Severity
  readonly to: readonly string[]
  readonly repeatMs: number
}

/**
 * The built-in rules and the given ones. Throws EvtError('config') that names rule and field, and says what to write. `nowMs` is what `now` in
 * expressions means.
 */
export function resolveAlerts(given: readonly AlertRule[], nowMs: number): readonly AlertConfig[] {
  const rules = new Map<string, AlertRule>(defaultAlerts.map((rule) => [rule.name, rule]))
  const seen = new Set<string>()
  for (const rule of given) {
    const name = String(rule.name)
    if (!/^[a-z0-9][a-z0-9.-]{0,62}$/.test(name))
      throw refuse(name, 'name', 'is lower-case letters, digits, dots and hyphens')
    if (seen.has(name)) throw refuse(name, 'name', 'stands for two rules')
    seen.add(name)
    assertKnownKeys(rule, ruleKeys, { refuse: (reason, hint) => unusable(name, reason, hint) })
    rules.set(name, { ...rules.get(name), ...definedOf(rule) })
  }
  for (const rule of rules.values()) demandWhen(rule)
  return [...rules.values()].filter(({ off }) => off !== true).map((rule) => resolveAlert(rule, nowMs))
}

const ruleKeys: KeysOf<AlertRule> = {
  name: true,
  when: true,
  for: true,
  severity: true,
  to: true,
  repeat: true,
  off: true,
}

/** Also of one that is switched off: a mistyped name would switch off nothing. */
function demandWhen({ name, when }: AlertRule): NonNullable<AlertRule['when']> {
  if (when !== undefined) return when
  const known = defaultAlerts.map((one) => one.name)
  const meant = suggestion(name, known)
  const reason = `is missing${meant ? `; ${meant}` : ` and no built-in rule has that name (${known.join(', ')})`}`
  throw refuse(name, 'when', reason)
}

/** Without what is undefined: that changes nothing. */
const definedOf = (rule: AlertRule): AlertRule =>
  Object.fromEntries(Object.entries(rule).filter(([, value]) => value !== undefined)) as unknown as AlertRule

function resolveAlert(rule: AlertRule, nowMs: number): AlertConfig {
  const { name, severity = 'warning', to = ['log'] } = rule
  const when = demandWhen(rule)
  if (!severities.includes(severity)) throw refuse(name, 'severity', `is none of ${severities.join(', ')}`)
  return {
    name,
    when: typeof when === 'string' ? metricOf(name, when) : patternOf(name, when, nowMs),
    text: typeof when === 'string' ? when : JSON.stringify(when),
    forMs: durationOf(name, 'for', rule.for ?? '0s'),
    severity,
    to: to.map((target) => targetOf(name, target)),
    repeatMs: durationOf(name, 'repeat', rule.repeat ?? '1h'),
  }
}

function metricOf(name: string, text: string): MetricTest {
  const paths: Path[] = []
  const look = (path: Path): string | undefined => {
    paths.push(path)
    const [root = '', fact = ''] = path.segments
    if (!Object.hasOwn(alertFacts, root)) return unknown(root, Object.keys(alertFacts))
    const facts = Object.keys(alertFacts[root as FactRoot])
    return facts.includes(fact)
      ? undefined
      : unknown(
          `${root}.${fact}`,
          facts.map((known) => `${root}.${known}`),
        )
  }
  const { where, reasons } = told(name, 'when', () => {
    const reasons = reasonsOf(parseExpression(text, look), 0)
    return { where: compileWhere(text, { nowMs: 0 }), reasons }
  })
  const each = eachOf.filter((root) => paths.some(({ segments }) => segments[0] === root))
  if (each.length > 1) throw refuse(name, 'when', `looks at each ${each.join(' and each ')}: write two rules`)
  if (paths.length === 0)
    throw refuse(name, 'when', `looks at nothing that is measured: ${Object.keys(alertFacts).join(', ')}`)
  return { kind: 'metric', where, each: each[0], reasons }
}

const unknown = (fact: string, known: readonly string[]) =>
  `there is no ${fact}: ${suggestion(fact, known) ?? `there are ${known.join(', ')}`}`

function patternOf(name: string, when: EventCondition, nowMs: number): EventPattern | Expectation {
  const test = (field: string, selector: EventSelector) => eventTest(name, field, { selector, nowMs })
  const by = when.by ?? 'all'
  if (!groupings.includes(by)) throw refuse(name, 'when.by', `is none of ${groupings.join(', ')}`)
  const withinMs = when.within === undefined ? undefined : positive(name, 'when.within', when.within)
  if ('missing' in when && when.after === undefined) return expectationOf(name, when, withinMs)
  if (withinMs === undefined) throw refuse(name, 'when.within', "is missing; write a time as '10m'")
  if ('missing' in when && when.after !== undefined)
    return { kind: 'absence', after: test('after', when.after), of: test('missing', when.missing), withinMs, by }
  if ('sequence' in when) {
    if (!Array.isArray(when.sequence) || when.sequence.length < 2)
      throw refuse(name, 'when.sequence', 'has fewer than two steps')
    return { kind: 'sequence', steps: when.sequence.map((step, at) => test(`sequence[${at}]`, step)), withinMs, by }
  }
  if (!('count' in when)) throw refuse(name, 'when', 'has none of count, sequence and missing')
  if (!Number.isInteger(when.atLeast) || when.atLeast < 1 || when.atLeast > 10_000)
    throw refuse(name, 'when.atLeast', 'is no whole number from 1 to 10,000')
  return { kind: 'count', of: test('count', when.count), atLeast: when.atLeast, withinMs, by }
}

function expectationOf(name: string, { missing, by }: AbsenceCondition, withinMs: number | undefined): Expectation {
  if (by !== undefined) throw refuse(name, 'when.by', 'needs `after`: without it, all of them together are expected')
  if (typeof missing !== 'string' && missing.where !== undefined)
    throw refuse(name, 'when.missing.where', 'needs `after`: without it, types alone are expected')
  const { matches } = told(name, 'when.missing', () => compilePatterns(typesOf(missing)))
  return { kind: 'expected', matches, withinMs }
}

function eventTest(
  name: string,
  field: string,
  { selector, nowMs }: { readonly selector: EventSelector; readonly nowMs: number },
): EventTest {
  const types = told(name, `when.${field}`, () => compilePatterns(typesOf(selector)))
  const text = typeof selector === 'string' ? undefined : selector.where
  const expression = typesOf(selector).map(patternExpression).join('|')
  if (text === undefined) return { expression, looksInside: false, matches: ({ type }) => types.matches(type) }
  const where = told(name, `when.${field}.where`, () => compileWhere(text, { nowMs, fields: eventFields }))
  return { expression, looksInside: true, matches: (event) => types.matches(event.type) && where.test(event) }
}

const typesOf = (selector: EventSelector): readonly string[] =>
  typeof selector === 'string' ? [selector] : [selector.type].flat()

function targetOf(name: string, target: string): string {
  if (target === 'log' || target === 'event') return target
  if (/^https?:\/\/./i.test(target) && URL.canParse(target)) return target
  throw refuse(name, 'to', `has ${JSON.stringify(target)}, which is none of log, event and the URL of a webhook`)
}

function durationOf(name: string, field: string, text: string): number {
  return told(name, field, () => parseDuration(text))
}

function positive(name: string, field: string, text: string): number {
  const ms = durationOf(name, field, text)
  if (ms > 0 && ms <= 7 * 86_400_000) return ms
  throw refuse(name, field, `is ${text}, not between 1ms and 7d`)
}

function told<T>(name: string, field: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new EvtError('config', `cannot use the alert ${name}: its ${field} is wrong: ${toError(error).message}`, {
      cause: error,
      hint: (error as { hint?: string }).hint ?? 'docs/observability.md lists what a rule may say',
    })
  }
}

const refuse = (name: string, field: string, reason: string) => unusable(name, `its ${field} ${reason}`)

const unusable = (name: string, reason: string, hint = 'docs/observability.md lists what a rule may say') =>
  new EvtError('config', `cannot use the alert ${name}: ${reason}`, { hint })
