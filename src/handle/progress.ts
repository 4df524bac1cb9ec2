import type { LaneProgress, Received } from '../transports/transport.ts'
import type { Entry, OwnedLane } from './item.ts'

/** What the entries settle, by lane. Those from the store settle nothing, but their lane must still be ours. */
export function progressOf(entries: readonly Entry[]): LaneProgress[] {
  const byLane = new Map<OwnedLane, Received[]>()
  for (const { item } of entries) {
    let done = byLane.get(item.owned)
    if (!done) {
      done = []
      byLane.set(item.owned, done)
    }
    if (!item.stored) done.push(item.message)
  }
  return [...byLane].map(([owned, done]) => ({ lane: owned.lane, done }))
}
