import type { Whereabouts } from './target.ts'

/** Where every event went. Counts include the warm-up. */
export interface Ledger {
  readonly scheduled: number
  readonly sent: number
  readonly unsent: number
  readonly accepted: number
  readonly rejected: number
  /** Sent, and neither acknowledged nor refused nor seen by any handler. */
  readonly unknown: number
  readonly subscribers: number
  /** From here on: events times handlers. */
  readonly handled: number
  /** Failed and waiting for a retry when the run was cut off. */
  readonly retriedOpen: number
  readonly deadLettered: number
  readonly lost: number
  /** Waiting in the target when the run was cut off. */
  readonly stillOpen: number
  /** Not seen to finish by the handler, and the target could not be asked. */
  readonly unlocated: number
  /** Effects beyond one for an event and handler. */
  readonly duplicates: number
  /** Events that reached a handler, or an effect that stands, after a later event of their key. */
  readonly reordered: number
}

/** What the books say that cannot be true at once; each is a defect of evt, not of the target. */
export function imbalances(ledger: Ledger): string[] {
  const { scheduled, sent, unsent, accepted, rejected, unknown, subscribers } = ledger
  const { handled, retriedOpen, deadLettered, lost, stillOpen, unlocated } = ledger
  const expected = accepted * subscribers
  const found = handled + retriedOpen + deadLettered + lost + stillOpen + unlocated
  const problems: string[] = []
  if (scheduled !== sent + unsent) problems.push(`scheduled ${scheduled} ≠ sent ${sent} + unsent ${unsent}`)
  if (sent !== accepted + rejected + unknown) {
    problems.push(`sent ${sent} ≠ accepted ${accepted} + rejected ${rejected} + unknown ${unknown}`)
  }
  if (expected !== found) {
    problems.push(
      `accepted ${accepted} × ${subscribers} = ${expected} ≠ handled ${handled} + retrying ${retriedOpen} + ` +
        `dead ${deadLettered} + lost ${lost} + open ${stillOpen} + unlocated ${unlocated} = ${found}`,
    )
  }
  return problems
}

export const isBroken = ({ lost, duplicates, reordered }: Ledger) => lost > 0 || duplicates > 0 || reordered > 0

/** Adds up the answers of `BenchTarget.locate`. */
export function countWhereabouts(answers: readonly Whereabouts[]): Readonly<Record<Whereabouts, number>> {
  const counts = { retrying: 0, dead: 0, open: 0, lost: 0 }
  for (const answer of answers) counts[answer] += 1
  return counts
}
