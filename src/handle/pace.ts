/** What is known about a handler's events, and how they are put together because of it. */
export interface Pace {
  /**
   * How many events of one transaction may be in the handler at the same time. Their statements go over one connection, so it
   * is safe only where no event can notice the others in between its own: a handler that makes one statement an event. It
   * starts with one event at a time, widens when that was seen often enough, and never again once an event makes a second one.
   */
  width(): number
  /** Events that one worker takes at once: many where the handler is quick; slow ones are spread over the workers instead. */
  chunkSize(): number
  handled(runUs: number): void
  /** An event makes a second statement. */
  several(): void
  readonly severalSeen: boolean
  /** An attempt failed among others: for a while they run one after the other, so that it is clear which one. */
  narrow(): void
}

const enough = 100
const narrowMs = 1000
const largestChunk = 100
/** How long what one worker takes at once should take in the handler, about. Where no transaction is shared, little is gained by more. */
const chunkUs = { shared: 100_000, own: 5_000 } as const
/** Weight of the latest event in what one takes on average. */
const learning = 0.02

export interface PaceOptions {
  /** Events of one transaction at the same time, at most. */
  readonly widest: number
  readonly timeoutMs: number
  /** Events share transactions, or have their own or none. */
  readonly transactions: keyof typeof chunkUs
  /** Default 100. */
  readonly largest?: number | undefined
}

export function createPace({ widest, timeoutMs, transactions, largest = largestChunk }: PaceOptions): Pace {
  let handled = 0
  let severalSeen = false
  let narrowUntilMs = 0
  let averageUs = 1000

  function width(): number {
    if (severalSeen || handled < enough || performance.now() < narrowUntilMs) return 1
    // Each waits for the statements of those before it: well within its time.
    return Math.max(1, Math.min(widest, largest, Math.floor((timeoutMs * 1000) / 4 / averageUs)))
  }

  return {
    width,
    chunkSize: () => Math.max(width(), Math.min(largest, Math.round((chunkUs[transactions] * width()) / averageUs))),
    handled(runUs) {
      handled += 1
      averageUs += learning * (runUs - averageUs)
    },
    get severalSeen() {
      return severalSeen
    },
    several() {
      severalSeen = true
    },
    narrow() {
      narrowUntilMs = performance.now() + narrowMs
    },
  }
}
