import { EvtError } from '../core/errors.ts'
import { countDue } from '../core/pacer.ts'
import { countWhereabouts, type Ledger } from './ledger.ts'
import { endsWithin } from './patience.ts'
import type { Workload } from './plan.ts'
import { type Shared, sendState } from './shared.ts'
import type { BenchTarget, TargetEvidence, Whereabouts } from './target.ts'
import type { HandlerBook, Tracker } from './tracker.ts'

export interface Stock {
  readonly ledger: Ledger
  /** Per handler, in the target's order. */
  readonly evidence: readonly TargetEvidence[]
  /** When the target's log had event k; undefined where it has no log or did not answer. */
  readonly sequencedUs: Float64Array | undefined
  /** Why the target was not asked, or did not answer: then nobody knows where unfinished events are. */
  readonly unasked: EvtError | undefined
}

interface Sources {
  readonly workload: Workload
  readonly shared: Shared
  readonly tracker: Tracker
  readonly target: BenchTarget
  readonly cutOffUs: number
  /** The target went away: it is not asked. */
  readonly gone: EvtError | undefined
  /** Interrupted, the run waits less long for answers. */
  readonly signal: AbortSignal
}

const answerWithinMs = { usually: 60_000, interrupted: 3_000 }

/** Closes the books: asks the target where every event is that was accepted and not finished. */
export async function takeStock(sources: Sources): Promise<Stock> {
  const { shared, tracker, target } = sources
  const scheduled = countScheduled(sources)
  const sends = countSends(shared, tracker, scheduled)
  const inquiry = createInquiry(sources)
  const evidence = (await inquiry.ask(() => target.evidence())) ?? []
  const found: Record<Whereabouts, number> = { retrying: 0, dead: 0, open: 0, lost: 0 }
  let unlocated = 0
  let handled = 0
  for (const [index, book] of tracker.handlers.entries()) {
    const open = sends.acceptedKs.filter((k) => !book.doneUs[k])
    const answers = open.length === 0 ? [] : await inquiry.ask(() => target.locate(index, open))
    if (answers === undefined) unlocated += open.length
    const counts = countWhereabouts(answers ?? [])
    for (const where of Object.keys(found) as Whereabouts[]) found[where] += counts[where]
    handled += sends.acceptedKs.length - open.length
  }
  const ledger: Ledger = {
    scheduled,
    sent: shared.get('sent'),
    unsent: sends.unsent,
    accepted: sends.acceptedKs.length,
    rejected: sends.rejected,
    unknown: sends.unknown,
    subscribers: tracker.handlers.length,
    handled,
    retriedOpen: found.retrying,
    deadLettered: found.dead,
    lost: found.lost,
    stillOpen: found.open,
    unlocated,
    ...contradictions(tracker.handlers, evidence),
  }
  const sequencedUs = await inquiry.ask(async () => target.sequenced?.(shared.get('sent')))
  return { ledger, evidence, sequencedUs, unasked: inquiry.failure() }
}

/** Asks until the target does not answer once: whoever is away is asked no further. */
function createInquiry({ gone, signal }: Sources) {
  let failure = gone
  return {
    failure: () => failure,
    async ask<T>(question: () => Promise<T>): Promise<T | undefined> {
      if (failure) return undefined
      const withinMs = signal.aborted ? answerWithinMs.interrupted : answerWithinMs.usually
      try {
        const answer = question()
        if (await endsWithin(answer, withinMs)) return await answer
        failure = new EvtError('timeout', `cannot take stock: no answer from the target for ${withinMs / 1_000} s`)
      } catch (error) {
        if (!(error instanceof EvtError) || error.code !== 'connect') throw error
        failure = error
      }
      return undefined
    },
  }
}

/** An interrupted run had scheduled what was due by then. */
function countScheduled({ workload, shared, cutOffUs }: Sources): number {
  if (!workload.schedule.paced) return shared.get('sent')
  return Math.min(workload.total, countDue(workload.schedule, cutOffUs / 1_000))
}

/** An event that a handler has seen was accepted, whatever became of the acknowledgement. */
function countSends(shared: Shared, tracker: Tracker, scheduled: number) {
  const acceptedKs: number[] = []
  let [unsent, rejected, unknown] = [0, 0, 0]
  for (let k = 0; k < scheduled; k++) {
    const state = shared.states[k]
    if (state === sendState.unsent) unsent++
    else if (state === sendState.accepted || tracker.handlers.some((book) => book.startedUs[k])) acceptedKs.push(k)
    else if (state === sendState.rejected) rejected++
    else unknown++
  }
  return { acceptedKs, unsent, rejected, unknown }
}

/** Two witnesses, the handlers and the target's effects: the worse one counts. */
function contradictions(books: readonly HandlerBook[], evidence: readonly TargetEvidence[]) {
  let [duplicates, reordered] = [0, 0]
  for (const [index, book] of books.entries()) {
    duplicates += Math.max(book.repeated, evidence[index]?.duplicates ?? 0)
    reordered += Math.max(book.reordered, evidence[index]?.reordered ?? 0)
  }
  return { duplicates, reordered }
}
