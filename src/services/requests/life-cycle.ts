import type { HandlerContext } from '../../index.ts'

/** From which states an event is legal (undefined: the thing is not there yet), and the state after it; without `to` it stays. */
export interface Move {
  readonly from: readonly (string | undefined)[]
  readonly to?: string
}
export type Moves = Readonly<Record<string, Move>>

/** An event that its thing cannot have now. No retry can mend it: it is a dead letter, with this as its reason. */
export class IllegalTransition extends Error {
  override readonly name = 'IllegalTransition'
}

/** For handlers, as `nonRetryable`. */
export const illegal = ['IllegalTransition'] as const

/** The state after the event. Throws IllegalTransition, saying what the thing is. */
export function stateAfter(
  moves: Moves,
  type: string,
  thing: { readonly name: string; readonly state: string | undefined },
): string {
  const move = moves[type]
  if (move?.from.includes(thing.state)) return move.to ?? thing.state ?? ''
  const is = thing.state === undefined ? 'not known' : thing.state
  throw new IllegalTransition(`${thing.name} is ${is}: there can be no ${type}`)
}

/** Where the event stands in the log, for SQL; 0 where handlers read it from elsewhere. */
export const placeOf = ({ position }: Pick<HandlerContext, 'position'>): string => String(position ?? 0n)
