import { createHistogram, type Histogram } from '../core/histogram.ts'

/**
 * Latencies of which some are only known to be larger than what was seen: an event that was not finished when the run
 * was cut off enters as "at least this old".
 */
export interface CensoredSamples {
  /** Finished and unfinished. */
  readonly count: number
  readonly unfinished: number
  /** Without unfinished ones the plain figures. `atLeast`: the true value may be larger than `us`. */
  percentile(q: number): Figure | undefined
  readonly min: Figure | undefined
  readonly max: Figure | undefined
  readonly mean: Figure | undefined
  readonly histogram: Histogram
}

export interface Figure {
  readonly us: number
  readonly atLeast: boolean
}

/** Within this share of one another, two figures are the same one. */
const tolerance = 0.01

/** `agesUs`: age of each unfinished event at the cut-off. */
export function createCensored(finished: Histogram, agesUs: Iterable<number> = []): CensoredSamples {
  const histogram = createHistogram()
  histogram.add(finished)
  for (const age of agesUs) histogram.record(age)
  const unfinished = histogram.count - finished.count
  const figure = (us: number | undefined, atLeast: boolean) => (us === undefined ? undefined : { us, atLeast })
  return {
    count: histogram.count,
    unfinished,
    histogram,
    percentile(q) {
      const low = histogram.percentile(q)
      if (low === undefined || unfinished === 0) return figure(low, false)
      // The other end: had every unfinished event taken for ever.
      const rank = q * histogram.count
      const high = rank > finished.count ? Infinity : (finished.percentile(rank / finished.count) ?? Infinity)
      return { us: low, atLeast: high > low * (1 + tolerance) }
    },
    min: figure(histogram.min, finished.count === 0),
    max: figure(histogram.max, unfinished > 0),
    mean: figure(histogram.mean, unfinished > 0),
  }
}

/** Samples that a percentile needs before it says anything: three beyond it. */
export const samplesNeeded = (q: number) => Math.ceil(3 / (1 - q) - 1e-6)
