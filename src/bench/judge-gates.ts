import { type CensoredSamples, type Figure, samplesNeeded } from './censored.ts'
import { type CountMetric, type Gate, isLatency, type Operator, type Statistic } from './gate.ts'
import type { Ledger } from './ledger.ts'
import type { LatencySeries } from './metrics.ts'

export type GateVerdict = 'pass' | 'fail' | 'inconclusive'

export interface GateResult {
  readonly gate: string
  readonly verdict: GateVerdict
  /** In the unit of the limit: µs, per second, a share, a count; null where there is none. */
  readonly value: number | null
  /** The true value may be larger. */
  readonly atLeast: boolean
  readonly limit: number
  readonly samples: number
  /** The handler that decided, where several were compared. */
  readonly handler?: string
  /** Why it is inconclusive. */
  readonly reason?: string
}

export interface Measured {
  readonly series: readonly LatencySeries[]
  readonly ledger: Ledger
  /** Measured events finished by every handler, per second. */
  readonly throughput: number
  readonly backlogAgeUs: number
  /** Why no figure of this run proves anything; empty for a valid one. */
  readonly doubts: readonly string[]
}

/** Judges one gate. It passes only when proven: no samples, too few of them or a doubt about the run leave it open. */
export function judgeGate(gate: Gate, measured: Measured): GateResult {
  const result = isLatency(gate.metric) ? judgeLatency(gate, measured) : judgeCount(gate, gate.metric, measured)
  const [doubt] = measured.doubts
  // What is lost or double is so, however busy the generator was.
  const isFact = ['lost', 'duplicates', 'reordered'].includes(gate.metric) && result.verdict === 'fail'
  return doubt && !isFact ? { ...result, verdict: 'inconclusive', reason: doubt } : result
}

function judgeLatency(gate: Gate, { series }: Measured): GateResult {
  const candidates = series.filter(
    (one) => one.metric === gate.metric && (gate.handler === undefined || one.handler === gate.handler),
  )
  const results = candidates.map((one) => judgeSamples(gate, one.samples, one.handler))
  const rank: readonly GateVerdict[] = ['fail', 'inconclusive', 'pass']
  results.sort((a, b) => rank.indexOf(a.verdict) - rank.indexOf(b.verdict) || worse(gate.operator, a, b))
  return results[0] ?? { ...open(gate, 'it was not measured in this run'), samples: 0 }
}

const worse = (operator: Operator, a: GateResult, b: GateResult) =>
  operator.startsWith('>') ? (a.value ?? 0) - (b.value ?? 0) : (b.value ?? 0) - (a.value ?? 0)

function judgeSamples(gate: Gate, samples: CensoredSamples, handler: string | undefined): GateResult {
  const named = handler === undefined ? {} : { handler }
  if (gate.statistic.kind === 'count') {
    return { ...compare(gate, { us: samples.count, atLeast: false }, samples.count), ...named }
  }
  const figure = figureOf(samples, gate.statistic)
  const needed = gate.statistic.kind === 'percentile' ? samplesNeeded(gate.statistic.q) : 1
  if (!figure || samples.count < needed) {
    const reason = samples.count === 0 ? 'no samples' : `${samples.count} samples, it needs ${needed}`
    return { ...open(gate, reason), ...named, samples: samples.count }
  }
  return { ...compare(gate, figure, samples.count), ...named }
}

function figureOf(samples: CensoredSamples, statistic: Statistic): Figure | undefined {
  if (statistic.kind === 'percentile') return samples.percentile(statistic.q)
  return statistic.kind === 'min' || statistic.kind === 'max' || statistic.kind === 'mean'
    ? samples[statistic.kind]
    : undefined
}

function judgeCount(gate: Gate, metric: CountMetric, measured: Measured): GateResult {
  const { ledger } = measured
  if (metric === 'backlog.age') return compare(gate, { us: measured.backlogAgeUs, atLeast: false }, ledger.sent)
  if (ledger.sent === 0) return { ...open(gate, 'no samples'), samples: 0 }
  const errors = ledger.rejected + ledger.unknown
  const isRate = gate.statistic.kind === 'rate'
  const values: Readonly<Record<Exclude<CountMetric, 'backlog.age'>, number>> = {
    throughput: measured.throughput,
    lost: ledger.lost,
    duplicates: ledger.duplicates,
    reordered: ledger.reordered,
    errors: isRate ? errors / ledger.sent : errors,
  }
  return compare(gate, { us: values[metric], atLeast: false }, ledger.sent)
}

function compare(gate: Gate, { us: value, atLeast }: Figure, samples: number): GateResult {
  const result = { gate: gate.text, value, atLeast, limit: gate.limit, samples }
  const holds = comparisons[gate.operator](value, gate.limit)
  if (!atLeast) return { ...result, verdict: holds ? 'pass' : 'fail' }
  // Only the lower end is known: it can prove that a limit was passed, never that one was kept.
  const isProven = gate.operator.startsWith('>') ? holds : gate.operator.startsWith('<') && !holds
  if (isProven) return { ...result, verdict: holds ? 'pass' : 'fail' }
  return { ...result, verdict: 'inconclusive', reason: 'unfinished events may make it larger' }
}

const comparisons: Readonly<Record<Operator, (value: number, limit: number) => boolean>> = {
  '<': (value, limit) => value < limit,
  '<=': (value, limit) => value <= limit,
  '>': (value, limit) => value > limit,
  '>=': (value, limit) => value >= limit,
  '==': (value, limit) => value === limit,
  '!=': (value, limit) => value !== limit,
}

function open(gate: Gate, reason: string): Omit<GateResult, 'samples'> {
  return { gate: gate.text, verdict: 'inconclusive', value: null, atLeast: false, limit: gate.limit, reason }
}
