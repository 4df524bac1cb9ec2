import { createHistogram, type Histogram } from '../core/histogram.ts'
import { type CensoredSamples, createCensored } from './censored.ts'
import type { Workload } from './plan.ts'
import { type Shared, sendState } from './shared.ts'
import type { HandlerBook, Tracker } from './tracker.ts'

/** In the order of an event's life; what lies between two moments of it. */
export const latencyMetrics = [
  'send_lag', // due → handed to the producer: the generator's own fault
  'commit', // handed over → acknowledged
  'accept', // due → acknowledged: what a producing request waits
  'relay', // acknowledged → in the target's log
  'deliver', // in the log → handler entered
  'handle', // handler entered → effect committed
  'e2e', // due → effect committed
  'e2e.all', // the last of several handlers
  'e2e.first', // the first of several handlers
] as const
export type LatencyMetric = (typeof latencyMetrics)[number]

export interface LatencySeries {
  readonly metric: LatencyMetric
  /** Only for metrics that every handler has of its own. */
  readonly handler?: string
  readonly samples: CensoredSamples
}

export interface HopNotes {
  /** Events that the target's log, or a handler, had before their acknowledgement reached the generator. */
  readonly overtaken: number
}

interface Sources {
  readonly workload: Workload
  readonly shared: Shared
  readonly tracker: Tracker
  /** When the target's log had each event, µs on the run's clock; undefined where it has no log. */
  readonly sequencedUs: Float64Array | undefined
  readonly cutOffUs: number
}

/** Every latency of the measured part, the unfinished events among them. */
export function collectLatencies(sources: Sources): { series: LatencySeries[]; notes: HopNotes } {
  const { shared, tracker } = sources
  const ages = unfinishedAges(sources)
  const hops = measureHops(sources)
  const series: LatencySeries[] = [
    { metric: 'send_lag', samples: createCensored(shared.sendLag, ages.unsent) },
    { metric: 'commit', samples: createCensored(hops.commit) },
    { metric: 'accept', samples: createCensored(shared.accept, ages.unacknowledged) },
  ]
  if (hops.relay.count > 0) series.push({ metric: 'relay', samples: createCensored(hops.relay) })
  for (const [index, book] of tracker.handlers.entries()) {
    const own = hops.handlers[index]
    if (!own) continue
    series.push(
      { metric: 'deliver', handler: book.name, samples: createCensored(own.deliver) },
      { metric: 'handle', handler: book.name, samples: createCensored(own.handle) },
      { metric: 'e2e', handler: book.name, samples: createCensored(book.e2e, ages.open(book)) },
    )
  }
  if (tracker.handlers.length > 1) {
    series.push(
      { metric: 'e2e.all', samples: createCensored(tracker.all, ages.openAnywhere()) },
      { metric: 'e2e.first', samples: createCensored(tracker.first) },
    )
  }
  return { series, notes: { overtaken: hops.overtaken } }
}

function measuredKs({ workload, shared }: Sources): number[] {
  const from = shared.get('measuredFrom')
  const end = workload.schedule.paced ? workload.total : shared.get('sent')
  return Array.from({ length: Math.max(0, end - from) }, (_, i) => from + i)
}

function unfinishedAges(sources: Sources) {
  const { shared, tracker, cutOffUs } = sources
  const ks = measuredKs(sources).filter((k) => tracker.startUs(k) <= cutOffUs)
  const isIn = (k: number, ...states: number[]) => states.includes(shared.states[k] ?? 0)
  const ages = (which: (k: number) => boolean) => ks.filter(which).map((k) => cutOffUs - tracker.startUs(k))
  const isOpen = (book: HandlerBook, k: number) => !book.doneUs[k] && !isIn(k, sendState.rejected)
  return {
    unsent: ages((k) => isIn(k, sendState.unsent)),
    unacknowledged: ages((k) => isIn(k, sendState.unsent, sendState.sent, sendState.unknown)),
    open: (book: HandlerBook) => ages((k) => isOpen(book, k)),
    openAnywhere: () => ages((k) => tracker.handlers.some((book) => isOpen(book, k))),
  }
}

/** acknowledged → in the log → handler entered → effect committed; a hop without a log starts at the acknowledgement. */
function measureHops(sources: Sources) {
  const { shared, tracker, sequencedUs } = sources
  const [commit, relay] = [createHistogram(), createHistogram()]
  const handlers = tracker.handlers.map(() => ({ deliver: createHistogram(), handle: createHistogram() }))
  let overtaken = 0
  const record = (histogram: Histogram, us: number) => {
    // An acknowledgement may come back later than the event goes on: that hop took no time of its own.
    if (us < 0) overtaken += 1
    histogram.record(Math.max(0, us))
  }
  for (const k of measuredKs(sources)) {
    const acceptedUs = shared.settledUs[k] ?? 0
    const inLogUs = sequencedUs?.[k] ?? 0
    if (shared.states[k] === sendState.accepted) commit.record(acceptedUs - (shared.sentUs[k] ?? 0))
    if (inLogUs > 0 && acceptedUs > 0) record(relay, inLogUs - acceptedUs)
    for (const [index, book] of tracker.handlers.entries()) {
      const [startedUs = 0, doneUs = 0] = [book.startedUs[k], book.doneUs[k]]
      if (!startedUs || !doneUs) continue
      record(handlers[index]?.deliver ?? relay, startedUs - (inLogUs || acceptedUs || startedUs))
      record(handlers[index]?.handle ?? relay, doneUs - startedUs)
    }
  }
  return { commit, relay, handlers, overtaken }
}
