import type { EvtEvent } from '../core/event.ts'
import { type Corrupt, type Corruption, type CorruptOptions, corruptions } from './corruption.ts'
import type { Moment } from './moment.ts'

/** Draws of its own, so that the events which stay good are the same with and without corruption. */
export function createSpoiler(options: CorruptOptions | undefined, moment: Moment) {
  const counts = Object.fromEntries(corruptions.map((kind) => [kind, 0])) as Record<Corruption, number>
  const kinds = options?.kinds ?? []
  let owed: Corruption | undefined
  let last: EvtEvent | undefined
  const count = (kind: Corruption): void => {
    counts[kind] += 1
    owed = undefined
  }
  return {
    counts,
    /** What was sent last, when it is to come once more, before the next event is made: no event is lost by it. */
    again(): EvtEvent | undefined {
      if (kinds.length > 0 && !owed && moment.random() < (options?.ratio ?? 0)) owed = kinds[moment.below(kinds.length)]
      if (owed !== 'duplicate' || !last) return undefined
      count(owed)
      return last
    },
    apply(event: EvtEvent, plan: { readonly corrupt: Corrupt }): EvtEvent {
      const spoilt = owed && owed !== 'duplicate' ? plan.corrupt(owed, event, moment) : undefined
      if (owed && spoilt) count(owed)
      last = spoilt ?? event
      return last
    },
  }
}
