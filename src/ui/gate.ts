import { tailLines } from './state/model.ts'
import type { Action } from './state/update.ts'

export type FeedAction = Extract<Action, { type: 'snapshot' | 'events' | 'trouble' }>

export interface GateOptions {
  readonly emit: (action: Action) => void
  /** True while the terminal has not taken what was drawn before. */
  readonly busy: () => boolean
  readonly everyMs: number
}

/**
 * Between the feed and the screen: passes on at most one batch an interval, and none while the terminal is behind. What
 * waits is bounded: the newest snapshot, and the newest lines with a count of the rest.
 */
export function createGate({ emit, busy, everyMs }: GateOptions): { push(action: FeedAction): void; close(): void } {
  let snapshot: FeedAction | undefined
  let trouble: FeedAction | undefined
  let lines: Extract<Action, { type: 'events' }>['lines'] = []
  let skipped = 0

  function flush(): void {
    if (busy()) return
    if (lines.length > 0 || skipped > 0) emit({ type: 'events', lines, skipped })
    if (snapshot) emit(snapshot)
    if (trouble) emit(trouble)
    snapshot = undefined
    trouble = undefined
    lines = []
    skipped = 0
  }

  const timer = setInterval(flush, everyMs)
  return {
    push(action) {
      if (action.type === 'snapshot') [snapshot, trouble] = [action, undefined]
      else if (action.type === 'trouble') trouble = action
      else {
        const all = [...lines, ...action.lines]
        lines = all.slice(-tailLines)
        skipped += action.skipped + all.length - lines.length
      }
    },
    close: () => clearInterval(timer),
  }
}
