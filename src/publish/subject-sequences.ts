import type { PublishConfig } from '../core/publish-options.ts'

/** Subjects that are remembered; of others, the next number is taken as it comes. */
const mostSubjects = 10_000

export interface Numbered {
  readonly key: string | null
  readonly sequence: number
}

/** `held`: it waits for what is missing before it, and is given to `go` later. `late`: its number, or a later one, was there. */
export type SequenceFinding = 'next' | 'gap' | 'held' | 'late' | 'missing'

export interface SequenceOptions<T> {
  readonly config: NonNullable<PublishConfig['sequence']>
  /** What was held may go, in its order; `afterGap`: what it waited for did not come. */
  readonly go: (item: T, afterGap: boolean) => void
}

/** The last sequence number of each subject, of the subjects used last; and what waits for a number before it. */
export interface SubjectSequences<T> {
  /** What is `next` or `gap` may go, and counts as gone; `missing` may not: a number before it is missing. */
  check(item: T): SequenceFinding
  /** To be called when what was `next` has gone: what waited for it goes. */
  proceed(key: string): void
  /** One of its events was not published after all: its next number is taken as it comes. */
  forget(key: string): void
  /** Nothing waits any longer. */
  release(): void
}

interface Held<T> {
  readonly items: T[]
  readonly timer: NodeJS.Timeout
}

export function createSubjectSequences<T extends Numbered>({ config, go }: SequenceOptions<T>): SubjectSequences<T> {
  const last = new Map<string, number>()
  const holding = new Map<string, Held<T>>()

  function accept(key: string, sequence: number): void {
    last.delete(key)
    last.set(key, sequence)
    if (last.size > mostSubjects) last.delete(last.keys().next().value as string)
  }

  function hold(key: string, item: T): SequenceFinding {
    const held = holding.get(key) ?? { items: [], timer: setTimeout(giveUp, config.waitMs, key) }
    holding.set(key, held)
    const place = held.items.findIndex(({ sequence }) => sequence >= item.sequence)
    if (held.items[place]?.sequence === item.sequence) return 'late'
    held.items.splice(place < 0 ? held.items.length : place, 0, item)
    return 'held'
  }

  function giveUp(key: string): void {
    const held = holding.get(key)
    if (!held) return
    clearTimeout(held.timer)
    holding.delete(key)
    for (const item of held.items) {
      const afterGap = item.sequence !== (last.get(key) ?? 0) + 1
      accept(key, item.sequence)
      go(item, afterGap)
    }
  }

  return {
    check(item) {
      const key = item.key as string
      const before = last.get(key)
      if (before !== undefined && item.sequence <= before) return 'late'
      const isGap = before !== undefined && item.sequence > before + 1
      if (isGap && config.gaps === 'wait') return hold(key, item)
      if (isGap && config.gaps === 'dead-letter') return 'missing'
      accept(key, item.sequence)
      return isGap ? 'gap' : 'next'
    },
    proceed(key) {
      const held = holding.get(key)
      if (!held) return
      while (held.items[0]?.sequence === (last.get(key) ?? 0) + 1) {
        const item = held.items.shift() as T
        accept(key, item.sequence)
        go(item, false)
      }
      if (held.items.length > 0) return
      clearTimeout(held.timer)
      holding.delete(key)
    },
    forget(key) {
      if (!holding.has(key)) last.delete(key)
    },
    release() {
      for (const key of [...holding.keys()]) giveUp(key)
    },
  }
}
