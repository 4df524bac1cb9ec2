/** What the next owner of a lane must know of owners that died. Positions; 0 where there is nothing to know. */
export interface Suspicion {
  /** Everything unsettled up to here may have been started by an owner that died. */
  readonly suspectTo: bigint
  /** The last of those that were out when an owner died of suspects: what is unsettled up to here comes alone. */
  readonly guilty: bigint
  /** How many owners had that one in hand when they died; where several were out together, at least two. */
  readonly deaths: number
}

export const noSuspicion: Suspicion = { suspectTo: 0n, guilty: 0n, deaths: 0 }

/** After the death of an owner that had settled up to `position` and was handed out everything up to `startedTo`. */
export function afterDeath(before: Suspicion, position: bigint, startedTo: bigint): Suspicion {
  if (startedTo <= position) return before
  // Nothing goes out behind a suspect: nobody of the old range is left.
  if (startedTo > before.suspectTo) return { suspectTo: startedTo, guilty: 0n, deaths: 0 }
  // Of one before it the count is that of a few which two had in hand.
  if (startedTo < before.guilty) return before
  if (startedTo === before.guilty) return { ...before, deaths: before.deaths + 1 }
  return { ...before, guilty: startedTo, deaths: 2 }
}

/** What `Received.deliveries` says: 2 for one of many that a dead owner may have started, above that for one of few that two had in hand. */
export function deliveriesOf(suspicion: Suspicion, position: bigint): number {
  if (position > suspicion.suspectTo) return 1
  if (position > suspicion.guilty) return 2
  return position === suspicion.guilty ? suspicion.deaths + 1 : 3
}

export interface Queued<T> {
  /** Not handed out, in the lane's order. */
  readonly queue: readonly T[]
  positionOf(one: T): bigint
  /** Handed out and not settled, and the position of the first of them. */
  readonly unsettled: number
  readonly first: bigint | undefined
  /** At most so many now. */
  readonly room: number
  /** As `LaneOptions.suspects`. */
  readonly together: number
}

/** How many of the queue's first may be handed out now: suspects a few at a time, or alone, not behind others, and nothing behind them. */
export function readyOf<T>(
  suspicion: Suspicion,
  { queue, positionOf, unsettled, first, room, together }: Queued<T>,
): number {
  const [next] = queue
  if (next === undefined) return 0
  const most = mostOut(suspicion, positionOf(next), together)
  if (first !== undefined && mostOut(suspicion, first, together) < most) return 0
  let count = Math.max(0, Math.min(room, queue.length, most - unsettled))
  if (most === Number.POSITIVE_INFINITY) return count
  while (count > 1 && positionOf(queue[count - 1] as T) > suspicion.suspectTo) count--
  return count
}

function mostOut({ suspectTo, guilty }: Suspicion, position: bigint, together: number): number {
  if (position > suspectTo) return Number.POSITIVE_INFINITY
  return position > guilty ? together : 1
}
