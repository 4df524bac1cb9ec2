import { createHistogram } from '../core/histogram.ts'
import { formatUs } from './figures.ts'
import type { Workload } from './plan.ts'
import type { Shared } from './shared.ts'
import type { HandlerBook, Tracker } from './tracker.ts'

export interface Drift {
  readonly handler: string
  /** Median e2e of the first and of the last third of the measured events. */
  readonly firstUs: number
  readonly lastUs: number
}

/** Above this, what was measured depends on how long it was measured. */
const mostGrowth = 1.5
/** Fewer events a third say nothing. */
const leastEvents = 30

/** Handlers whose latency grew during the run: a queue that the run's end cut off. */
export function findDrift(workload: Workload, shared: Shared, tracker: Tracker): Drift[] {
  const from = shared.get('measuredFrom')
  const to = Math.min(workload.total, shared.get('sent'))
  const third = Math.floor((to - from) / 3)
  if (third < leastEvents) return []
  const median = (book: HandlerBook, start: number) => {
    const histogram = createHistogram()
    for (let k = start; k < start + third; k++) {
      const doneUs = book.doneUs[k] ?? 0
      if (doneUs > 0) histogram.record(doneUs - tracker.startUs(k))
    }
    return histogram.percentile(0.5) ?? 0
  }
  return tracker.handlers
    .map((book) => ({ handler: book.name, firstUs: median(book, from), lastUs: median(book, to - third) }))
    .filter(({ firstUs, lastUs }) => firstUs > 0 && lastUs > mostGrowth * firstUs)
}

export const driftSentence = ({ handler, firstUs, lastUs }: Drift) =>
  `not steady: the median e2e of ${handler} rose from ${formatUs(firstUs)} to ${formatUs(lastUs)} during the run`
