import { formatDuration } from '../core/duration.ts'
import { formatCount } from '../core/quantity.ts'

export interface Progress {
  /** The total so far; cheap to call for every batch. */
  update(done: number): void
  /** Removes the line. */
  end(): void
}

interface ProgressOptions {
  readonly stderr: { readonly isTTY?: boolean; write(text: string): unknown }
  readonly verb: string
  readonly total?: number
  readonly now: () => number
}

const redrawMs = 100
/** An estimate of what stands only grows. */
const standingMs = 3_000

/** One line on stderr with count, rate and time left, redrawn at most ten times a second; nothing off a terminal. */
export function createProgress({ stderr, verb, total, now }: ProgressOptions): Progress {
  const startedMs = now()
  let drawnMs = 0
  const last = { done: 0, atMs: startedMs }
  const clear = () => stderr.isTTY && drawnMs > 0 && stderr.write('\r\u001b[2K')
  return {
    update(done) {
      const nowMs = now()
      if (done !== last.done) Object.assign(last, { done, atMs: nowMs })
      if (!stderr.isTTY || nowMs - drawnMs < redrawMs) return
      drawnMs = nowMs
      const isStanding = nowMs - last.atMs > standingMs
      const elapsedMs = nowMs - startedMs
      stderr.write(`\r\u001b[2K${progressLine({ verb, done, elapsedMs, isStanding, ...(total ? { total } : {}) })}`)
    },
    end() {
      clear()
      drawnMs = 0
    },
  }
}

/** `generating 12k of 100k · 4k/s · 22s left`. */
export function progressLine(state: {
  verb: string
  done: number
  elapsedMs: number
  isStanding?: boolean
  total?: number
}): string {
  const { verb, done, elapsedMs, isStanding = false, total } = state
  const perSecond = elapsedMs > 0 ? (done * 1000) / elapsedMs : 0
  const parts = [
    `${verb} ${formatCount(done)}${total ? ` of ${formatCount(total)}` : ''}`,
    `${formatCount(Math.round(perSecond))}/s`,
  ]
  if (total && perSecond > 0 && !isStanding)
    parts.push(`${formatDuration(Math.round((Math.max(0, total - done) * 1000) / perSecond / 1000) * 1000)} left`)
  return parts.join(' · ')
}
