import { decodeHistogram } from '../../core/histogram.ts'

export type Labels = Readonly<Record<string, string>>

export interface MetricValue {
  readonly labels: Labels
  readonly value: number
  /** `…_bucket`, `…_sum`, `…_count` of a histogram or summary. */
  readonly metricName?: string
}

/** One metric with all its label sets, in the shape of prom-client's JSON. Counters are cumulative; units are in the names. */
export interface MetricFamily {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary'
  readonly values: readonly MetricValue[]
}

export const counter = (name: string, help: string, values: readonly MetricValue[]): MetricFamily => ({
  name,
  help,
  type: 'counter',
  values,
})

export const gauge = (name: string, help: string, values: readonly MetricValue[]): MetricFamily => ({
  name,
  help,
  type: 'gauge',
  values,
})

export const one = (value: number, labels: Labels = {}): MetricValue => ({ labels, value })

/** Upper bounds in seconds: from a tenth of the target of 10 ms to the timeout of a handler. */
const bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

export interface EncodedSamples {
  readonly labels: Labels
  /** As `Histogram.encode` gives it: microseconds. */
  readonly encoded: string
}

/** In seconds. A sample may stand one bucket too high where it is within 0.8 % of a bound. */
export function histogram(name: string, help: string, all: readonly EncodedSamples[]): MetricFamily {
  return { name, help, type: 'histogram', values: all.flatMap((samples) => bucketsOf(name, samples)) }
}

function bucketsOf(name: string, { labels, encoded }: EncodedSamples): readonly MetricValue[] {
  const samples = decodeHistogram(encoded)
  const counts = bounds.map(() => 0)
  for (const { to, count } of samples.buckets()) {
    const at = bounds.findIndex((bound) => to <= bound * 1e6)
    if (at >= 0) counts[at] = (counts[at] ?? 0) + count
  }
  let below = 0
  const buckets = counts.map((count, at) => {
    below += count
    return { metricName: `${name}_bucket`, labels: { ...labels, le: String(bounds[at]) }, value: below }
  })
  const { count } = samples
  return [
    ...buckets,
    { metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: count },
    { metricName: `${name}_sum`, labels, value: ((samples.mean ?? 0) * count) / 1e6 },
    { metricName: `${name}_count`, labels, value: count },
  ]
}
