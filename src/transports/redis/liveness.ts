import type { Member } from './membership-scripts.ts'

/** A member whose beats stand still for this long is taken for dead (kill -9, SIGSTOP, a lost network). */
const silentMs = 4_000
/** And for this many of our own: when the server stalls, nobody beats, and nobody is dead. */
const silentBeats = 5

interface Observation {
  readonly beats: string
  readonly sinceMs: number
  /** Our beats since. */
  readonly ours: number
}

/** Tells dead members from slow ones by what this process saw itself: no clock of another machine is compared. */
export interface Liveness {
  /** Who is dead, as of this beat. `nowMs` is monotonic. */
  judge(members: readonly Member[], self: string, nowMs: number): readonly Member[]
}

export function createLiveness(): Liveness {
  let known = new Map<string, Observation>()
  return {
    judge(members, self, nowMs) {
      const next = new Map<string, Observation>()
      const dead = members.filter(({ session, beats }) => {
        if (session === self) return false
        const before = known.get(session)
        const seen = before?.beats === beats ? { ...before, ours: before.ours + 1 } : { beats, sinceMs: nowMs, ours: 0 }
        next.set(session, seen)
        return nowMs - seen.sinceMs >= silentMs && seen.ours >= silentBeats
      })
      known = next
      return dead
    },
  }
}
