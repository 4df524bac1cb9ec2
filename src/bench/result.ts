import type { Figure } from './censored.ts'
import type { GateResult } from './judge-gates.ts'
import type { Ledger } from './ledger.ts'
import type { LatencyMetric } from './metrics.ts'
import type { Doubt } from './validity.ts'

/** How a run ended; each has an exit code. */
export type BenchOutcome = 'done' | 'gate' | 'inconclusive' | 'broken' | 'defect' | 'gone' | 'interrupted'

export interface LatencySummary {
  readonly metric: LatencyMetric
  readonly handler?: string
  readonly samples: number
  /** Of these, not finished at the cut-off: they count as at least as old as they were then. */
  readonly unfinished: number
  /** Undefined: too few samples. */
  readonly p50?: Figure
  readonly p90?: Figure
  readonly p99?: Figure
  readonly p999?: Figure
  readonly max?: Figure
  readonly mean?: Figure
  /** Every sample, for `decodeHistogram`. */
  readonly histogram: string
}

/** What `--json` prints as data. Times in µs unless the name says otherwise. */
export interface BenchResult {
  readonly schema: 'evt.bench/1'
  readonly run: string
  readonly outcome: BenchOutcome
  /** One sentence. */
  readonly verdict: string
  readonly startedAt: string
  readonly target: string
  readonly load: {
    readonly rate: string
    readonly arrival: string
    readonly seed: number
    readonly warmupMs: number
    readonly durationMs: number
    readonly keys: number
    readonly skew: string
    readonly sizesBytes: readonly number[]
    readonly pacing: string
    readonly maxInflight: number
    /** Per second, in the measured part; null for `max`. */
    readonly offeredRate: number | null
    readonly sentRate: number
    readonly throughput: number
    readonly late: number
    readonly peakSendRate: number
    /** After the last event was sent, ms. */
    readonly drainMs: number
    readonly backlogAgeMaxMs: number
  }
  readonly ledger: Ledger & { readonly balanced: boolean }
  readonly imbalances: readonly string[]
  readonly gates: readonly GateResult[]
  readonly doubts: readonly Doubt[]
  readonly notices: readonly string[]
  readonly latencies: readonly LatencySummary[]
  readonly generator: { readonly busy: number | null; readonly gcMs: number }
  readonly environment: Readonly<Record<string, string | number>>
  readonly reproduce: string
}
