import type { Paint, Style } from '../output/paint.ts'
import { formatFigure, formatUs } from './figures.ts'
import { isLatency } from './gate.ts'
import { renderHopBar } from './hop-bar.ts'
import type { GateResult } from './judge-gates.ts'
import type { BenchOutcome, BenchResult, LatencySummary } from './result.ts'

const grouped = new Intl.NumberFormat('en-US')
const n = (count: number) => grouped.format(count)

/** The summary for a person: verdict, gates, accounting, percentiles, hops, environment, how to repeat it. */
export function renderReport(result: BenchResult, paint: Paint): string {
  const sections = [
    renderVerdict(result, paint),
    result.gates.map((gate) => renderGate(gate, paint)),
    renderAccounting(result),
    renderLatencies(result.latencies, paint),
    renderHopBar(result.latencies),
    [...result.notices.map((notice) => `note: ${notice}`), ...renderConditions(result)],
  ]
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`
}

const marks: Readonly<Record<BenchOutcome, { readonly word: string; readonly style: Style }>> = {
  done: { word: 'PASS', style: 'green' },
  gate: { word: 'FAIL', style: 'red' },
  broken: { word: 'BROKEN', style: 'red' },
  defect: { word: 'DEFECT', style: 'red' },
  gone: { word: 'GONE', style: 'red' },
  inconclusive: { word: 'INCONCLUSIVE', style: 'yellow' },
  interrupted: { word: 'INTERRUPTED', style: 'yellow' },
}

function renderVerdict({ outcome, verdict, doubts }: BenchResult, paint: Paint): string[] {
  const { word, style } = marks[outcome]
  const lines = [`${paint('bold', paint(style, word))}  ${verdict}`]
  for (const doubt of doubts) lines.push(`  ${doubt.kind}: ${doubt.reason}; ${doubt.remedy}`)
  return lines
}

const gateMarks = { pass: ['✓', 'green'], fail: ['✗', 'red'], inconclusive: ['?', 'yellow'] } as const

function renderGate(gate: GateResult, paint: Paint): string {
  const [mark, style] = gateMarks[gate.verdict]
  const metric = /^[\w.]*/.exec(gate.gate)?.[0] ?? ''
  const isTime = isLatency(metric) || /^p/.test(metric) || metric === 'backlog.age'
  const shown =
    gate.value === null ? '-' : `${gate.atLeast ? '>' : ''}${isTime ? formatUs(gate.value) : plain(gate.value)}`
  const where = gate.handler === undefined ? '' : ` (${gate.handler})`
  const reason = gate.reason === undefined ? '' : `  ${gate.reason}`
  return `${paint(style, mark)} ${gate.gate}  ${shown}${where}  n=${n(gate.samples)}${reason}`
}

const plain = (value: number) => (Number.isInteger(value) ? n(value) : String(Number(value.toPrecision(4))))

function renderAccounting({ ledger, load, imbalances }: BenchResult): string[] {
  const { scheduled, sent, unsent, accepted, rejected, unknown, subscribers } = ledger
  const { handled, retriedOpen, deadLettered, lost, stillOpen, unlocated, duplicates, reordered } = ledger
  const offered = load.offeredRate === null ? load.rate : `${n(Math.round(load.offeredRate))}/s`
  return [
    `load       ${offered} ${load.arrival} · sent ${n(Math.round(load.sentRate))}/s · handled ${n(Math.round(load.throughput))}/s` +
      ` · ${seconds(load.warmupMs)} warm-up + ${seconds(load.durationMs)} · drained in ${formatUs(load.drainMs * 1_000)}`,
    `events     scheduled ${n(scheduled)} = sent ${n(sent)} + unsent ${n(unsent)}` +
      ` · sent = accepted ${n(accepted)} + rejected ${n(rejected)} + unknown ${n(unknown)}`,
    `deliveries accepted × ${subscribers} = handled ${n(handled)} + retrying ${n(retriedOpen)} + dead ${n(deadLettered)}` +
      ` + lost ${n(lost)} + open ${n(stillOpen)}${unlocated > 0 ? ` + unlocated ${n(unlocated)}` : ''}`,
    `effects    duplicated ${n(duplicates)} · reordered ${n(reordered)} · late sends ${n(load.late)}` +
      ` · oldest open event ${formatUs(load.backlogAgeMaxMs * 1_000)}`,
    ...imbalances.map((problem) => `UNBALANCED ${problem}`),
  ]
}

const columns = ['p50', 'p90', 'p99', 'p999', 'max', 'mean'] as const

function renderLatencies(latencies: readonly LatencySummary[], paint: Paint): string[] {
  const names = latencies.map(({ metric, handler }) => (handler === undefined ? metric : `${metric} ${handler}`))
  const width = Math.max(...names.map((name) => name.length))
  const head = columns.map((column) => (column === 'p999' ? 'p99.9' : column).padStart(10)).join('')
  const rows = latencies.map((latency, index) => {
    const cells = columns.map((column) => formatFigure(latency[column]).padStart(10)).join('')
    const open = latency.unfinished > 0 ? `  ${n(latency.unfinished)} unfinished` : ''
    return `${(names[index] ?? '').padEnd(width)}${cells}${n(latency.samples).padStart(10)}${open}`
  })
  return [paint('bold', `${''.padEnd(width)}${head}${'n'.padStart(10)}`), ...rows]
}

function renderConditions({ target, environment, load, generator, reproduce }: BenchResult): string[] {
  const facts = Object.entries(environment).map(([name, value]) => `${name} ${value}`)
  const busy =
    generator.busy === null
      ? load.pacing === 'precise'
        ? 'spins'
        : 'cut off'
      : `busy ${Math.round(generator.busy * 100)} %`
  return [
    `target     ${target}`,
    `machine    ${facts.join(' · ')}`,
    `generator  ${load.pacing}, ${busy}, ${load.keys} keys ${load.skew}, ${load.sizesBytes.join('/')} B, seed ${load.seed}`,
    `reproduce  ${reproduce}`,
  ]
}

const seconds = (ms: number) => `${ms / 1_000} s`
