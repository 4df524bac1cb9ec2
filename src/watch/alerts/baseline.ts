/** Values of one thing over time, to say how unusual a new one is. */
export type Baseline = readonly number[]

const mostValues = 120
/** Fewer say nothing. */
const leastValues = 12
/** Makes the median absolute deviation of a normal distribution its standard deviation. */
const asDeviation = 1.4826

export const withValue = (baseline: Baseline, value: number): Baseline => [...baseline, value].slice(-mostValues)

/**
 * How many robust standard deviations a value lies above the median. A tenth of the median counts as one at least: what never changes at
 * all must not make an alarm of a trifle. Null while too little is known.
 */
export function robustScore(baseline: Baseline, value: number): number | null {
  if (baseline.length < leastValues) return null
  const usual = median(baseline)
  const deviation = median(baseline.map((one) => Math.abs(one - usual))) * asDeviation
  return (value - usual) / Math.max(deviation, usual * 0.1, 1)
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const half = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? (sorted[half] ?? 0) : ((sorted[half - 1] ?? 0) + (sorted[half] ?? 0)) / 2
}
