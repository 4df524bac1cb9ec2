import type { CountedTraffic } from '../../store/analytics.ts'

export interface RateAt {
  readonly counted: CountedTraffic
  /** Of about a minute before; undefined while nobody has looked for so long. */
  readonly before: CountedTraffic | undefined
  /** As far as analytics has to be, for its count to be that of now. */
  readonly upTo: bigint
  readonly nowMs: number
}

/**
 * Events of the last minute, as analytics has counted them; null while that is not known. While analytics is behind it is what it was, for
 * a minute: that evt has published something is no reason to know less.
 */
export function createEventRate(minuteMs: number): (at: RateAt) => number | null {
  let known: { readonly perMinute: number; readonly atMs: number } | undefined
  return ({ counted, before, upTo, nowMs }) => {
    if (before && counted.position >= upTo) known = { perMinute: counted.events - before.events, atMs: nowMs }
    return known !== undefined && nowMs - known.atMs <= minuteMs ? known.perMinute : null
  }
}
