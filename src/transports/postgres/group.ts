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
  /** Of the group, everywhere. */
  readonly laneCount: number
  readonly prefetch: number
  readonly wanted: Wanted
  /** It still claims lanes. */
  readonly joined: boolean
  readonly owned: ReadonlyMap<number, LogLane>
  add(lane: LogLane): void
  remove(lane: LogLane): void
  leave(): void
}

export function createLocalGroup(
  name: string,
  laneCount: number,
  options: Pick<LaneOptions, 'prefetch' | 'patterns'>,
  onLane: (lane: LogLane) => void,
): LocalGroup {
  const owned = new Map<number, LogLane>()
  const wanted = createWanted(options.patterns)
  let joined = true
  return {
    name,
    laneCount,
    prefetch: options.prefetch,
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
        const lane = owned.get(entry.slot % laneCount)
        if (lane?.live && wanted(entry.type)) lane.offer(entry)
      }
    },
    add(lane) {
      owned.set(lane.index, lane)
      onLane(lane)
    },
    remove(lane) {
      if (owned.get(lane.index) === lane) owned.delete(lane.index)
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
