const retryMs = 1_000
const maxRemembered = 100

/** What goes wrong behind the lanes, where no caller hears of it, and is tried again. */
export interface Problems {
  /**
   * Tells it, once for each message, unless it is an outage, which passes by itself and shows elsewhere. Returns how long to
   * wait before trying again: `outageMs` for an outage, longer for what somebody has to mend. Never throws.
   */
  report(thrown: unknown, outageMs: number): number
}

export interface ProblemsOptions {
  /** In words for people; undefined for what passes by itself. */
  readonly translate: (thrown: unknown) => Error | undefined
  /** Nothing is told after it. */
  readonly signal: AbortSignal
  readonly onProblem?: ((error: Error) => void) | undefined
}

export function createProblems({ translate, signal, onProblem }: ProblemsOptions): Problems {
  const told = new Set<string>()
  return {
    report(thrown, outageMs) {
      const error = signal.aborted ? undefined : translate(thrown)
      if (error === undefined) return outageMs
      if (!told.has(error.message)) {
        if (told.size >= maxRemembered) told.clear()
        told.add(error.message)
        onProblem?.(error)
      }
      return retryMs
    },
  }
}
