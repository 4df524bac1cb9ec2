import { setTimeout as delay } from 'node:timers/promises'

/** Whose turn it is to run what a dead owner may have started: one at a time in the whole process. */
export interface OneAtATime {
  turn<T>(work: () => Promise<T>): Promise<T>
  /** One of them was settled now. */
  settled(): void
  /** Resolves when those that were settled before are durably so: what ends the process now is not counted for them. */
  untilDurable(): Promise<void>
}

/** Before the first one, all lanes have had the time to find theirs and to give them back. */
const quietMs = 500
/** A transport may take a second to write what was settled. */
const durableMs = 1_100

export function createOneAtATime(): OneAtATime {
  let last: Promise<unknown> | undefined
  let settledMs = Number.NEGATIVE_INFINITY
  return {
    turn(work) {
      last ??= delay(quietMs)
      const next = last.then(work, work)
      last = next.catch(() => {})
      return next
    },
    settled() {
      settledMs = performance.now()
    },
    async untilDurable() {
      const leftMs = settledMs + durableMs - performance.now()
      if (leftMs > 0) await delay(leftMs)
    },
  }
}
