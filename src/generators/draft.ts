import type { EvtEvent } from '../core/event.ts'
import type { Moment } from './moment.ts'
import { advance, type Plan } from './plan.ts'
import type { Individual } from './population.ts'

/** An event that is not handed out yet. */
export type Draft = { -readonly [Key in keyof EvtEvent]: EvtEvent[Key] }

const none = Object.freeze({})

/** The next event of `plan`, about `one` or about nothing; whom it belongs to and what caused it is for the caller to say. */
export function draftOf(
  plan: Plan,
  one: Individual | undefined,
  { moment, source }: { readonly moment: Moment; readonly source: string },
): Draft {
  const { contract } = plan.anatomy
  return {
    id: moment.uuid(),
    type: contract.type,
    version: contract.version,
    source,
    time: moment.iso,
    priority: 'normal',
    metadata: none,
    data: one ? advance(plan, one, moment) : plan.lone(moment),
  }
}
