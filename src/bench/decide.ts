import { formatFigure } from './figures.ts'
import type { GateResult } from './judge-gates.ts'
import { isBroken, type Ledger } from './ledger.ts'
import type { LatencySeries } from './metrics.ts'
import type { BenchOutcome, BenchResult } from './result.ts'
import type { Doubt } from './validity.ts'

export interface Findings {
  readonly isInterrupted: boolean
  /** The target went away: why. */
  readonly gone: string | undefined
  /** Of the ledger. */
  readonly problems: readonly string[]
  readonly ledger: Ledger
  readonly gates: readonly GateResult[]
  readonly doubts: readonly Doubt[]
  /** Events per second asked for, and finished by every handler, in the measured part. */
  readonly offered: number | undefined
  readonly throughput: number
  readonly series: readonly LatencySeries[]
}

/**
 * The worst thing that was found decides: books that contradict each other, then a target that went away, for whose
 * correctness nobody can speak, then broken correctness, an interruption, a failed gate, an inconclusive measurement.
 */
export function decide(findings: Findings): Pick<BenchResult, 'outcome' | 'verdict'> {
  const outcome = outcomeOf(findings)
  return { outcome, verdict: sentences[outcome](findings) }
}

function outcomeOf({ isInterrupted, gone, problems, ledger, gates, doubts }: Findings): BenchOutcome {
  if (problems.length > 0) return 'defect'
  if (gone !== undefined) return 'gone'
  if (isBroken(ledger)) return 'broken'
  if (isInterrupted) return 'interrupted'
  if (gates.some((gate) => gate.verdict === 'fail')) return 'gate'
  return doubts.length > 0 || gates.some((gate) => gate.verdict === 'inconclusive') ? 'inconclusive' : 'done'
}

/** Below this share of what was asked, the backlog grew. */
const leastShare = 0.97

const sentences: Readonly<Record<BenchOutcome, (findings: Findings) => string>> = {
  defect: ({ problems }) => `a defect of evt: the books do not balance (${problems[0]})`,
  gone: ({ gone, ledger }) =>
    `the target went away after ${ledger.sent} events (${gone}): what follows is what was known by then`,
  broken: ({ ledger }) =>
    `correctness is broken: lost ${ledger.lost}, duplicated ${ledger.duplicates}, reordered ${ledger.reordered}`,
  interrupted: ({ ledger }) => `interrupted after ${ledger.sent} events: what follows is partial`,
  gate({ gates }) {
    const failed = gates.filter((gate) => gate.verdict === 'fail')
    return `${failed.length} of ${gates.length} gates failed: ${failed.map((gate) => gate.gate).join(' · ')}`
  },
  inconclusive({ doubts, gates }) {
    const [doubt] = doubts
    if (doubt?.kind === 'generator-bound') return `inconclusive, the generator was the limit: ${doubt.reason}`
    const reason = doubt?.reason ?? gates.find((gate) => gate.verdict === 'inconclusive')?.reason
    return `inconclusive: ${reason}`
  },
  done({ gates, offered, throughput, series }) {
    const slowest = slowestOf(series)
    const e2e = slowest
      ? `, e2e p50 ${formatFigure(slowest.samples.percentile(0.5))} p99 ${formatFigure(slowest.samples.percentile(0.99))}`
      : ''
    const proven = gates.length > 0 ? `all ${gates.length} gates proven: ` : ''
    const asked =
      offered !== undefined && throughput < leastShare * offered
        ? ` of ${Math.round(offered)}/s asked: it did not keep up`
        : ''
    return `${proven}${Math.round(throughput)}/s handled${asked}, nothing lost, doubled or reordered${e2e}`
  },
}

function slowestOf(series: readonly LatencySeries[]): LatencySeries | undefined {
  const p99 = (one: LatencySeries) => one.samples.percentile(0.99)?.us ?? 0
  return series.filter((one) => one.metric === 'e2e').sort((a, b) => p99(b) - p99(a))[0]
}
