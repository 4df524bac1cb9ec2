import { samplesNeeded } from './censored.ts'
import { decide } from './decide.ts'
import { judgeGate } from './judge-gates.ts'
import { imbalances, type Ledger } from './ledger.ts'
import type { Machine, machineChange } from './machine.ts'
import { collectLatencies, type LatencySeries } from './metrics.ts'
import { offeredPerSecond, type Workload } from './plan.ts'
import type { BenchResult, LatencySummary } from './result.ts'
import type { BenchOptions, RunLoad } from './run.ts'
import type { Shared } from './shared.ts'
import { driftSentence, findDrift } from './steadiness.ts'
import type { Stock } from './take-stock.ts'
import type { BenchTarget } from './target.ts'
import type { Tracker } from './tracker.ts'
import { findDoubts } from './validity.ts'

export interface RunRecord {
  readonly options: BenchOptions
  readonly workload: Workload
  readonly shared: Shared
  readonly tracker: Tracker
  readonly target: BenchTarget
  readonly load: RunLoad
  readonly machine: Machine
  readonly change: ReturnType<typeof machineChange>
  readonly stock: Stock
  readonly cutOffUs: number
  readonly startedAt: Date
}

/** From what was recorded to the verdict. */
export function conclude(record: RunRecord): BenchResult {
  const { options, load, stock } = record
  const { series, notes } = collectLatencies({ ...record, sequencedUs: stock.sequencedUs })
  const rates = measureRates(record)
  const busy = options.plan.pacing === 'precise' ? undefined : load.generator?.busy
  const doubts = findDoubts({
    offered: rates.offered,
    sentRate: rates.sent,
    sendLagP99Us: worstP99(series, 'send_lag'),
    e2eP99Us: worstP99(series, 'e2e'),
    samples: Math.min(
      ...series.filter((one) => one.metric === 'e2e').map((one) => one.samples.count - one.samples.unfinished),
    ),
    busy,
    gcShare: (load.generator?.gcMs ?? 0) / (options.plan.warmupMs + options.plan.durationMs),
    ...record.change,
    ledger: stock.ledger,
  })
  const problems = imbalances(stock.ledger)
  const gates = options.gates.map((gate) =>
    judgeGate(gate, {
      series,
      ledger: stock.ledger,
      throughput: rates.throughput,
      backlogAgeUs: load.backlogAgeMaxUs,
      doubts: doubts.map((doubt) => doubt.reason),
    }),
  )
  const isInterrupted = options.signal.aborted
  return {
    schema: 'evt.bench/1',
    run: options.plan.run,
    ...decide({ isInterrupted, gone: goneOf(stock), problems, ledger: stock.ledger, gates, doubts, ...rates, series }),
    startedAt: record.startedAt.toISOString(),
    target: record.target.label,
    load: describeLoad(record, rates),
    ledger: { ...stock.ledger, balanced: problems.length === 0 },
    imbalances: problems,
    gates,
    doubts,
    notices: [
      ...findDrift(record.workload, record.shared, record.tracker).map(driftSentence),
      ...noticesOf(stock.ledger, notes.overtaken, series),
      ...(record.target.remarks?.() ?? []),
      ...unaskedNotices(stock),
      ...(load.generator?.reasons ?? []),
    ],
    latencies: series.map(summarise),
    generator: { busy: busy ?? null, gcMs: load.generator?.gcMs ?? 0 },
    environment: describeEnvironment(record),
    reproduce: options.reproduce,
  }
}

/** A target that was asked too much in too little time is still there. */
const goneOf = ({ unasked }: Stock) => (unasked?.code === 'connect' ? unasked.message : undefined)

function unaskedNotices(stock: Stock): string[] {
  if (goneOf(stock) !== undefined)
    return ['what the run made in the target is still there: the next `evt bench` removes it']
  return stock.unasked ? [stock.unasked.message] : []
}

interface Rates {
  readonly offered: number | undefined
  readonly sent: number
  readonly throughput: number
}

/** Sending may end this much after the schedule without being slow. */
const graceUs = 10_000

function measureRates({ workload, shared, tracker, cutOffUs }: RunRecord): Rates {
  const { warmupMs, durationMs } = workload.plan
  const fromUs = warmupMs * 1_000
  const toUs = Math.min(cutOffUs, workload.endMs * 1_000)
  const seconds = Math.max(0.001, (toUs - fromUs) / 1e6)
  let [sent, finished] = [0, 0]
  for (let k = 0; k < shared.get('sent'); k++) {
    if (k >= shared.get('measuredFrom') && (shared.sentUs[k] ?? 0) <= toUs + graceUs) sent++
    const doneUs = Math.max(...tracker.handlers.map((book) => book.doneUs[k] || Infinity))
    if (doneUs >= fromUs && doneUs < toUs) finished++
  }
  const offered = offeredPerSecond(workload)
  const isWhole = cutOffUs >= durationMs * 1_000 + fromUs
  return { offered: isWhole ? offered : undefined, sent: sent / seconds, throughput: finished / seconds }
}

function worstP99(series: readonly LatencySeries[], metric: string): number | undefined {
  const found = series.filter((one) => one.metric === metric).map((one) => one.samples.percentile(0.99)?.us)
  const known = found.filter((us) => us !== undefined)
  return known.length === 0 ? undefined : Math.max(...known)
}

export function summarise({ metric, handler, samples }: LatencySeries): LatencySummary {
  const shown = (q: number) => (samples.count >= samplesNeeded(q) ? samples.percentile(q) : undefined)
  const figures = {
    p50: shown(0.5),
    p90: shown(0.9),
    p99: shown(0.99),
    p999: shown(0.999),
    max: samples.max,
    mean: samples.mean,
  }
  return {
    metric,
    ...(handler === undefined ? {} : { handler }),
    samples: samples.count,
    unfinished: samples.unfinished,
    ...Object.fromEntries(Object.entries(figures).filter(([, figure]) => figure !== undefined)),
    histogram: samples.histogram.encode(),
  }
}

function describeLoad({ options, shared, load }: RunRecord, rates: Rates): BenchResult['load'] {
  const { plan } = options
  return {
    rate: rateText(plan.shape),
    arrival: plan.arrival.kind === 'burst' ? `burst:${plan.arrival.size}` : plan.arrival.kind,
    seed: plan.seed,
    warmupMs: plan.warmupMs,
    durationMs: plan.durationMs,
    keys: plan.keys,
    skew: plan.skew.kind === 'zipf' ? `zipf:${plan.skew.exponent}` : 'uniform',
    sizesBytes: plan.sizesBytes,
    pacing: plan.pacing,
    maxInflight: plan.maxInflight,
    offeredRate: rates.offered ?? null,
    sentRate: rates.sent,
    throughput: rates.throughput,
    late: shared.get('late'),
    peakSendRate: shared.get('peakPerSecond'),
    drainMs: load.drainMs,
    backlogAgeMaxMs: load.backlogAgeMaxUs / 1_000,
  }
}

function noticesOf(ledger: Ledger, overtaken: number, series: readonly LatencySeries[]): string[] {
  const negative = series.reduce((sum, one) => sum + one.samples.histogram.negative, 0)
  const notices: string[] = []
  if (ledger.deadLettered > 0)
    notices.push(`${ledger.deadLettered} events became dead letters of the bench's own handlers`)
  if (ledger.rejected > 0) notices.push(`${ledger.rejected} events were refused by the target`)
  if (overtaken > 0)
    notices.push(`${overtaken} events went on before their acknowledgement was read: that hop counts as 0`)
  if (negative > 0) notices.push(`${negative} latencies were below 0: a clock jumped; they are in no percentile`)
  return notices
}

function describeEnvironment({ machine, target }: RunRecord): BenchResult['environment'] {
  return {
    node: process.version,
    cpu: machine.cpu,
    cores: machine.usableCores,
    memoryGiB: Math.round(machine.memoryBytes / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    ...target.facts(),
  }
}

function rateText(shape: RunRecord['options']['plan']['shape']): string {
  if (shape === 'max') return 'max'
  return shape
    .map(({ from, to, durationMs }) => {
      const rate = from === to ? `${from}/s` : `${from}..${to}/s`
      return durationMs === Infinity ? rate : `${rate} for ${durationMs / 1_000} s`
    })
    .join(', ')
}
