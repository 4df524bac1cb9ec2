import { formatUs } from './figures.ts'
import type { LatencyMetric } from './metrics.ts'
import type { LatencySummary } from './result.ts'

const hops: readonly { readonly metric: LatencyMetric; readonly says: string; readonly fill: string }[] = [
  { metric: 'send_lag', says: 'generator late', fill: '░' },
  { metric: 'commit', says: 'commit', fill: '▒' },
  { metric: 'relay', says: 'relay', fill: '▓' },
  { metric: 'deliver', says: 'deliver', fill: '█' },
  { metric: 'handle', says: 'handle', fill: '▄' },
]
const width = 60

/**
 * Where the time of the slowest handler's events went, at p50 and p99: `hops p50 ░▒▒▓▓██▄  generator late 0.6 ms · …`.
 * Percentiles of parts do not add up to the percentile of the whole; the bar shows shares, not a sum.
 */
export function renderHopBar(latencies: readonly LatencySummary[]): string[] {
  const slowest = latencies
    .filter(({ metric }) => metric === 'e2e')
    .sort((a, b) => (b.p99?.us ?? b.max?.us ?? 0) - (a.p99?.us ?? a.max?.us ?? 0))[0]
  if (!slowest) return []
  return (['p50', 'p99'] as const).flatMap((column) => {
    const parts = hops.flatMap(({ metric, says, fill }) => {
      const found = latencies.find(
        (one) => one.metric === metric && (one.handler === undefined || one.handler === slowest.handler),
      )
      const figure = found?.[column]
      return figure ? [{ says, fill, us: figure.us }] : []
    })
    const total = parts.reduce((sum, part) => sum + part.us, 0)
    if (total === 0) return []
    const bar = parts.map(({ fill, us }) => fill.repeat(Math.round((us / total) * width))).join('')
    const legend = parts.map(({ says, fill, us }) => `${fill} ${says} ${formatUs(us)}`).join(' · ')
    return [`hops ${column}   ${bar}`, `           ${legend}`]
  })
}
