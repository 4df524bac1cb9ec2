import type { BeatState } from './lane-sql.ts'

/** A member whose beats stand still for this long is taken for dead, though its connection lives (SIGSTOP, a lost network). */
const silentMs = 5_000
/** And for this many of our own beats: when the server stalls, nobody beats, and nobody is dead. */
const silentBeats = 5
/** A lock that is free once may belong to a member that is just reconnecting. */
const unlockedBeats = 2

interface Observation {
  beats: string
  sinceMs: number
  /** Our beats since. */
  ours: number
  unlocked: number
}

export interface Liveness {
  /** Who is dead, as of this beat. `nowMs` is monotonic. */
  judge(members: BeatState['members'], self: string, nowMs: number): BeatState['members']
}

/** Tells dead members from slow ones by what this process saw itself: no clock of another machine is compared. */
export function createLiveness(): Liveness {
  let known = new Map<string, Observation>()
  return {
    judge(members, self, nowMs) {
      const next = new Map<string, Observation>()
      const dead = members.filter((member) => {
        if (member.session === self) return false
        const before = known.get(member.session)
        const seen =
          before?.beats === member.beats
            ? { ...before, ours: before.ours + 1 }
            : { beats: member.beats, sinceMs: nowMs, ours: 0, unlocked: 0 }
        seen.unlocked = member.unlocked ? seen.unlocked + 1 : 0
        next.set(member.session, seen)
        return seen.unlocked >= unlockedBeats || (nowMs - seen.sinceMs >= silentMs && seen.ours >= silentBeats)
      })
      known = next
      return dead
    },
  }
}
