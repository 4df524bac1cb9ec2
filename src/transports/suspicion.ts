/** What the next owner of a lane must know of owners that died. Positions; 0 where there is nothing to know. */
export interface Suspicion {
  /** Everything unsettled up to here may have been started by an owner that died. */
  readonly suspectTo: bigint
  /** The one that was out alone when an owner died, and how many owners had it in hand when they did. */
  readonly guilty: bigint
  readonly deaths: number
}

export const noSuspicion: Suspicion = { suspectTo: 0n, guilty: 0n, deaths: 0 }

/** After the death of an owner that had settled up to `position` and was handed out everything up to `startedTo`. */
export function afterDeath(before: Suspicion, position: bigint, startedTo: bigint): Suspicion {
  if (startedTo <= position) return before
  // Suspects go out alone, so what is unsettled inside the old range is one message.
  if (startedTo > before.suspectTo) return { suspectTo: startedTo, guilty: 0n, deaths: 0 }
  return { ...before, guilty: startedTo, deaths: before.guilty === startedTo ? before.deaths + 1 : 2 }
}

/** What `Received.deliveries` says. */
export function deliveriesOf(suspicion: Suspicion, position: bigint): number {
  if (position > suspicion.suspectTo) return 1
  return position === suspicion.guilty ? suspicion.deaths + 1 : 2
}
