import type { EvtEvent } from '../core/event.ts'
import { type Corrupt, type Corruption, type CorruptOptions, corruptions } from './corruption.ts'
import type { Moment } from './moment.ts'

/** Draws of its own, so that the events which stay good are the same with and without corruption. */
export function createSpoiler(options: CorruptOptions | undefined, moment: Moment) {
  const counts = Object.fromEntries(corruptions.map((kind) => [kind, 0])) as Record<Corruption, number>
  const kinds = options?.kinds ?? []
  let owed: Corruption | undefined
  let before: EvtEvent | undefined
  const apply = (event: EvtEvent, plan: { readonly corrupt: Corrupt }): EvtEvent => {
    if (kinds.length === 0) return event
    if (!owed && moment.random() < (options?.ratio ?? 0)) owed = kinds[moment.below(kinds.length)]
    const spoilt = owed && plan.corrupt(owed, event, before, moment)
    before = event
    if (!owed || !spoilt) return event
    counts[owed] += 1
    owed = undefined
    return spoilt
  }
  return { apply, counts }
}
