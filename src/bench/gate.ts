import { EvtError } from '../core/errors.ts'
import { type LatencyMetric, latencyMetrics } from './metrics.ts'

export const countMetrics = ['throughput', 'lost', 'duplicates', 'reordered', 'errors', 'backlog.age'] as const
export type CountMetric = (typeof countMetrics)[number]

export const operators = ['<', '<=', '>', '>=', '==', '!='] as const
export type Operator = (typeof operators)[number]

/** What of a metric is compared. Latencies in µs, rates per second, shares from 0 to 1. */
export type Statistic =
  | { readonly kind: 'percentile'; readonly q: number }
  | { readonly kind: 'min' | 'max' | 'mean' | 'count' | 'rate' | 'value' }

export interface Gate {
  /** As it was given. */
  readonly text: string
  readonly metric: LatencyMetric | CountMetric
  /** Without one, a metric that each handler has of its own must hold for every handler. */
  readonly handler?: string
  readonly statistic: Statistic
  readonly operator: Operator
  readonly limit: number
}

export interface GateScope {
  readonly handlers: readonly string[]
  /** Events per second that the run offers; undefined for `max`. */
  readonly offered: number | undefined
}

export const isLatency = (metric: string): metric is LatencyMetric =>
  (latencyMetrics as readonly string[]).includes(metric)

/**
 * Parses `e2e p99 < 100ms`, `e2e[NAME] p95 <= 2s`, `throughput > 950`, `lost == 0`, `errors rate < 1%`, and k6's
 * `p(95)<200` (of e2e, in ms). Throws `usage`, with what exists, for an unknown metric, statistic, handler or unit, and
 * for a time without a unit elsewhere and for a gate that no run could meet.
 */
export function parseGate(text: string, scope: GateScope): Gate {
  const [, left = '', sign = '', value = ''] = /^(.*?)\s*([<>=!]=*)\s*(.*?)\s*$/.exec(text) ?? []
  const words = left.split(/\s+/).filter((word) => word !== '')
  if (sign === '' || words.length < 1 || words.length > 2) {
    throw refused(text, 'it is not METRIC STATISTIC OPERATOR VALUE')
  }
  // k6 leaves the metric out: `p(95)<200`.
  const isBare = words.length === 1 && parseStatistic(left) !== undefined
  const [subject = '', word] = isBare ? ['e2e', left] : words
  const { metric, handler } = readMetric(text, subject, scope)
  const statistic = readStatistic(text, metric, word)
  const gate: Gate = {
    text: text.trim(),
    metric,
    ...(handler === undefined ? {} : { handler }),
    statistic,
    operator: readOperator(text, sign),
    limit: readLimit(text, isBare && left.includes('(') ? k6Units : unitsOf(metric, statistic), value),
  }
  assertPossible(gate, scope)
  return gate
}

const examples = "examples: --gate 'e2e p99 < 100ms', --gate 'throughput > 950', --gate 'lost == 0'"
const metrics: readonly Gate['metric'][] = [...latencyMetrics, ...countMetrics]

function readMetric(text: string, subject: string, { handlers }: GateScope) {
  const [, name = subject, handler] = /^([^[\]]+)(?:\[([^[\]]*)\])?$/.exec(subject) ?? []
  const metric = metrics.find((one) => one === name)
  if (!metric) throw refused(text, `there is no metric '${name}'`, `metrics: ${metrics.join(', ')}`)
  if (handler === undefined) return { metric, handler }
  if (!perHandler.includes(metric)) throw refused(text, `${metric} is not measured per handler`)
  if (handlers.includes(handler)) return { metric, handler }
  throw refused(text, `there is no handler '${handler}'`, `handlers of this run: ${handlers.join(', ')}`)
}

const perHandler: readonly string[] = ['e2e', 'deliver', 'handle']

const namedStatistics: Readonly<Record<string, Statistic>> = {
  min: { kind: 'min' },
  max: { kind: 'max' },
  mean: { kind: 'mean' },
  avg: { kind: 'mean' },
  med: { kind: 'percentile', q: 0.5 },
  count: { kind: 'count' },
  rate: { kind: 'rate' },
  value: { kind: 'value' },
}

function parseStatistic(word: string): Statistic | undefined {
  const digits = /^p\(?(\d+(?:\.\d+)?)\)?$/.exec(word)?.[1]
  if (digits === undefined) return Object.hasOwn(namedStatistics, word) ? namedStatistics[word] : undefined
  const percent = Number(digits)
  // Divided as text: 99.9 / 100 is a little more than 0.999.
  return percent > 0 && percent < 100 ? { kind: 'percentile', q: Number(`${digits}e-2`) } : undefined
}

function allowedStatistics(metric: string): string[] {
  if (isLatency(metric)) return ['p50', 'p90', 'p99', 'p99.9', 'min', 'max', 'mean', 'med', 'count']
  if (metric === 'errors') return ['rate', 'count']
  if (metric === 'backlog.age') return ['max']
  return metric === 'throughput' ? ['rate'] : ['count']
}

function readStatistic(text: string, metric: string, word: string | undefined): Statistic {
  const allowed = allowedStatistics(metric)
  const hint = `statistics of ${metric}: ${allowed.join(', ')}${isLatency(metric) ? ', or any other percentile' : ''}`
  if (word === undefined) {
    if (isLatency(metric)) throw refused(text, `it does not say which statistic of ${metric}`, hint)
    return { kind: metric === 'backlog.age' ? 'max' : metric === 'throughput' ? 'rate' : 'count' }
  }
  const statistic = parseStatistic(word)
  const isKnown = statistic?.kind === 'percentile' ? isLatency(metric) : allowed.includes(statistic?.kind ?? '')
  if (!statistic || !isKnown) throw refused(text, `there is no statistic '${word}' of ${metric}`, hint)
  return statistic
}

function readOperator(text: string, operator: string): Operator {
  const spelled = operator === '=' || operator === '===' ? '==' : operator
  const known = operators.find((one) => one === spelled)
  if (known) return known
  throw refused(text, `there is no operator '${operator}'`, `operators: ${operators.join(' ')}`)
}

const timeUnits: Readonly<Record<string, number>> = { us: 1, µs: 1, ms: 1_000, s: 1e6, m: 60e6 }
/** k6 writes times in ms, without a unit. */
const k6Units = { ...timeUnits, '': 1_000 }
const rateUnits: Readonly<Record<string, number>> = { '': 1, '/s': 1, k: 1_000, 'k/s': 1_000, m: 1e6, 'm/s': 1e6 }
const shareUnits: Readonly<Record<string, number>> = { '': 1, '%': 0.01 }
const countUnits: Readonly<Record<string, number>> = { '': 1, k: 1_000, m: 1e6 }

function unitsOf(metric: string, statistic: Statistic): Readonly<Record<string, number>> {
  if (metric === 'backlog.age' || (isLatency(metric) && statistic.kind !== 'count')) return timeUnits
  if (metric === 'throughput') return rateUnits
  return statistic.kind === 'rate' ? shareUnits : countUnits
}

function readLimit(text: string, units: Readonly<Record<string, number>>, value: string): number {
  const [, digits, unit = ''] = /^(-?\d+(?:\.\d+)?)\s*([a-zµ%/]*)$/i.exec(value) ?? []
  if (digits === undefined) throw refused(text, `'${value}' is not a number`, examples)
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined
  if (factor !== undefined) return Number((Number(digits) * factor).toPrecision(12))
  const known = Object.keys(units).filter((one) => one !== '')
  if (unit === '')
    throw refused(text, `${digits} of what?`, `write the unit: ${text.trim()}ms (units: ${known.join(', ')})`)
  throw refused(text, `'${unit}' is no unit of it`, `units: ${known.join(', ')}`)
}

/** Refuses what no run could meet: it would fail or stay open after all the waiting. */
function assertPossible({ text, metric, statistic, operator, limit }: Gate, { offered }: GateScope): void {
  const most = mostOf(metric, statistic, offered)
  const isImpossible =
    (operator === '<' && limit <= 0) ||
    ((operator === '<=' || operator === '==') && limit < 0) ||
    (operator === '>' && limit >= most) ||
    ((operator === '>=' || operator === '==') && limit > most)
  if (!isImpossible) return
  const range = most === Infinity ? 'it is never below 0' : `it lies between 0 and ${most}`
  throw refused(text, `no run could meet it: ${range}`)
}

function mostOf(metric: string, statistic: Statistic, offered: number | undefined): number {
  if (metric === 'throughput') return offered ?? Infinity
  return metric === 'errors' && statistic.kind === 'rate' ? 1 : Infinity
}

const refused = (text: string, reason: string, hint: string = examples) =>
  new EvtError('usage', `cannot use gate '${text.trim()}': ${reason}`, { hint })
