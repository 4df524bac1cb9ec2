import { createHistogram, type Histogram } from '../core/histogram.ts'
import type { Workload } from './plan.ts'
import { type Shared, sendState } from './shared.ts'
import type { Sightings } from './target.ts'

/** What the handlers told about one of them. */
export interface HandlerBook {
  readonly name: string
  /** Due → effect committed, measured events only. */
  readonly e2e: Histogram
  /** µs on the run's clock; 0 until then. */
  readonly startedUs: Float64Array
  readonly doneUs: Float64Array
  /** Events finished at least once, the warm-up included. */
  readonly handled: number
  /** Finished again after they were finished. */
  readonly repeated: number
  /** First seen after a later event of their key. */
  readonly reordered: number
}

export interface Tracker extends Sightings {
  readonly handlers: readonly HandlerBook[]
  /** The same when there are several handlers: the last one and the first one to finish an event. */
  readonly all: Histogram
  readonly first: Histogram
  /** Distinct probes that each handler has finished. */
  readonly probes: readonly ReadonlySet<number>[]
  /** Whether every event that the target may hold is finished by every handler. */
  isDrained(): boolean
  /** Age of the oldest event that is sent and not finished everywhere, µs; 0 without one. */
  oldestOpenUs(nowUs: number): number
  /** When event k was due; for `max`, when it was sent. */
  startUs(k: number): number
}

interface Book extends HandlerBook {
  handled: number
  repeated: number
  reordered: number
  readonly latest: Float64Array
}

/** Collects sightings on the main thread: a few array writes an event and handler. */
export function createTracker(workload: Workload, shared: Shared, names: readonly string[]): Tracker {
  const books = names.map((name) => createBook(name, workload))
  const probes = names.map(() => new Set<number>())
  const finishedBy = new Uint8Array(workload.total)
  const [all, first] = [createHistogram(), createHistogram()]
  let oldest = 0

  const startUs = (k: number) => (workload.schedule.paced ? workload.dueUs(k) : (shared.sentUs[k] ?? 0))
  const isMeasured = (k: number) => k >= shared.get('measuredFrom')
  const isSettled = (k: number) => shared.states[k] === sendState.rejected || finishedBy[k] === names.length

  function finished(k: number, latencyUs: number): void {
    const by = (finishedBy[k] ?? 0) + 1
    finishedBy[k] = by
    if (!isMeasured(k)) return
    if (by === 1) first.record(latencyUs)
    if (by === names.length) all.record(latencyUs)
  }

  return {
    handlers: books,
    all,
    first,
    probes,
    startUs,
    started(handler, k, atUs) {
      const book = books[handler]
      if (k < 0 || !book || book.startedUs[k]) return
      book.startedUs[k] = atUs
      const key = workload.keyOf(k)
      if (k < (book.latest[key] ?? -1)) book.reordered += 1
      else book.latest[key] = k
    },
    done(handler, k, atUs) {
      if (k < 0) probes[handler]?.add(k)
      const book = books[handler]
      if (k < 0 || !book) return
      if (book.doneUs[k]) {
        book.repeated += 1
        return
      }
      book.doneUs[k] = atUs
      book.handled += 1
      const latencyUs = atUs - startUs(k)
      if (isMeasured(k)) book.e2e.record(latencyUs)
      finished(k, latencyUs)
    },
    isDrained() {
      const sent = shared.get('sent')
      while (oldest < sent && isSettled(oldest)) oldest++
      return oldest >= sent && shared.get('settled') >= sent
    },
    oldestOpenUs(nowUs) {
      const sent = shared.get('sent')
      while (oldest < sent && isSettled(oldest)) oldest++
      return oldest < sent ? Math.max(0, nowUs - startUs(oldest)) : 0
    },
  }
}

function createBook(name: string, { total, plan }: Workload): Book {
  return {
    name,
    e2e: createHistogram(),
    startedUs: new Float64Array(total),
    doneUs: new Float64Array(total),
    latest: new Float64Array(plan.keys).fill(-1),
    handled: 0,
    repeated: 0,
    reordered: 0,
  }
}
