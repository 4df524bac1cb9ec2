import type { PublishConfig } from '../core/publish-options.ts'
import type { PublishOutcome } from './outcome.ts'

/** An event that came before, by its key. */
export interface Known {
  readonly key: string
  readonly checksum: string
  readonly untilMs: number
  /** Those of the same key that wait for what becomes of it; undefined once it is published. */
  followers: ((outcome: PublishOutcome) => void)[] | undefined
}

/** Remembers keys for a time and up to a count, the oldest go first; what is still on its way is never forgotten. */
export interface DuplicateWindow {
  find(key: string, nowMs: number): Known | undefined
  /** What may follow it, until `settle`. */
  add(key: string, checksum: string, nowMs: number): Known
  /** Published: it stays for the window. Not published: it is forgotten, and may come again. */
  settle(known: Known, outcome: PublishOutcome): void
  readonly size: number
}

export function createDuplicateWindow({
  windowMs,
  count,
}: Pick<NonNullable<PublishConfig['duplicates']>, 'windowMs' | 'count'>): DuplicateWindow {
  const all = new Map<string, Known>()

  function forgetOld(nowMs: number): void {
    for (const known of all.values()) {
      if (known.untilMs > nowMs && all.size <= count) return
      // It has its own bound: what may wait in memory.
      if (known.followers !== undefined) return
      all.delete(known.key)
    }
  }

  return {
    find(key, nowMs) {
      const known = all.get(key)
      return known !== undefined && known.untilMs <= nowMs && known.followers === undefined ? undefined : known
    },
    add(key, checksum, nowMs) {
      const known: Known = { key, checksum, untilMs: nowMs + windowMs, followers: [] }
      all.delete(key)
      all.set(key, known)
      forgetOld(nowMs)
      return known
    },
    settle(known, outcome) {
      const { followers = [] } = known
      known.followers = undefined
      if ('error' in outcome && all.get(known.key) === known) all.delete(known.key)
      for (const follow of followers) follow(outcome)
    },
    get size() {
      return all.size
    },
  }
}
