import type { Store } from '../../store/connection.ts'
import type { Replay } from '../../store/replays.ts'

export interface ReplayStanding {
  /** How often a handler handled an event of it; to a target: events that it confirmed. */
  readonly done: number
  /** Events that are to be given once more, at most. */
  readonly left: number
  readonly position: bigint
}

/** How far it is, by what its handlers have in their inboxes. */
export async function standingOf(store: Store, replay: Replay): Promise<ReplayStanding> {
  const { kind, endedAt, matched, done: counted, position } = replay
  if (kind === 'target' || endedAt) return { done: counted, left: Math.max(0, matched - counted), position }
  const { replayProgress } = await import('../../store/replays.ts')
  const handlers = await replayProgress(store, replay, { counted: true })
  const done = handlers.reduce((sum, { handled }) => sum + handled, counted)
  // What is counted without a name may be anybody's where there are several.
  const own = handlers.length === 1 ? counted : 0
  const passed = Math.min(...handlers.map(({ handled, dead }) => handled + dead + own))
  const least = handlers.reduce((at, one) => (one.position < at ? one.position : at), replay.upto)
  return { done, left: Math.max(0, matched - passed), position: handlers.length > 0 ? least : position }
}
