import { slotOf } from '../../core/slot.ts'
import type { LogEntry } from '../../store/log.ts'
import { fairShare } from '../share.ts'
import type { LaneOptions } from '../transport.ts'
import { createWanted, type Wanted } from '../wanted.ts'
import type { Follower } from './feed.ts'
import type { LogLane } from './lane.ts'
import type { BeatState } from './lane-sql.ts'

/** One call of `lanes()`: what this process owns of a group, and whether it wants more. */
export interface LocalGroup extends Follower {
  readonly name: string
  /** Of the group, everywhere; 0 once it was removed, until somebody makes it again. */
  readonly laneCount: number
  readonly prefetch: number
  /** As `LaneOptions.suspects`. */
  readonly suspects: number
  readonly wanted: Wanted
  /** It still claims lanes. */
  readonly joined: boolean
  readonly owned: ReadonlyMap<number, LogLane>
  add(lane: LogLane): void
  remove(lane: LogLane): void
  /** The group was removed, or made again: with another number of lanes, those in hand are shards of nothing any more. */
  resize(laneCount: number): void
  leave(): void
}

export function createLocalGroup(
  name: string,
  lanes: number,
  options: Pick<LaneOptions, 'prefetch' | 'suspects' | 'patterns'>,
  onLane: (lane: LogLane) => void,
): LocalGroup {
  const owned = new Map<number, LogLane>()
  const wanted = createWanted(options.patterns)
  let laneCount = lanes
  let joined = true
  return {
    name,
    get laneCount() {
      return laneCount
    },
    prefetch: options.prefetch,
    suspects: options.suspects ?? 1,
    wanted,
    owned,
    get joined() {
      return joined
    },
    get following() {
      for (const lane of owned.values()) if (lane.live) return true
      return false
    },
    dispatch(entries: readonly LogEntry[]) {
      for (const entry of entries) {
        // Of many groups few want an event.
        if (!wanted(entry.type)) continue
        const lane = owned.get(entry.slot % laneCount)
        if (lane?.live) lane.offer(entry)
      }
    },
    add(lane) {
      owned.set(lane.index, lane)
      onLane(lane)
    },
    remove(lane) {
      if (owned.get(lane.index) === lane) owned.delete(lane.index)
    },
    resize(now) {
      if (now === laneCount) return
      laneCount = now
      const why = now === 0 ? 'the group was removed' : `the group was made again, with ${now} lanes`
      for (const lane of [...owned.values()]) lane.lose(why)
    },
    leave() {
      joined = false
    },
  }
}

/** What one group of this process should do, given what a beat found. */
export interface GroupPlan {
  readonly lost: readonly LogLane[]
  readonly drain: readonly LogLane[]
  /** How many free lanes to claim. */
  readonly claim: number
}

export function planGroup(
  state: BeatState['groups'][number],
  locals: readonly LocalGroup[],
  members: BeatState['members'],
  self: string,
): GroupPlan {
  const held = locals.flatMap((local) => [...local.owned.values()])
  const mine = new Set(state.mine)
  const lost = held.filter((lane) => !mine.has(lane.index))
  const owned = held.filter((lane) => mine.has(lane.index))
  const isJoined = locals.some((local) => local.joined)
  // What the beat wrote about ourselves is not in what it read.
  const others = members.filter(({ session, groups }) => session !== self && groups.includes(state.name))
  const sharing = [...others.map(({ session }) => session), ...(isJoined ? [self] : [])]
  const share = fairShare(state.lanes, sharing, self, slotOf(state.name))
  const active = owned.filter((lane) => !lane.draining).toSorted((a, b) => a.index - b.index)
  // Lanes that are ours in the store and not here: the answer to a claim was lost.
  const free = state.free + state.mine.length - owned.length
  return {
    lost,
    drain: isJoined ? active.slice(share) : [],
    claim: isJoined ? Math.max(0, Math.min(share - owned.length, free)) : 0,
  }
}
