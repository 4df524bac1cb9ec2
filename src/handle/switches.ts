import { readStopped, type Stopped } from '../store/breakers.ts'
import type { Store } from '../store/connection.ts'

const pollMs = 1000

/** Follows what stops handlers in all processes: operators' switches, and open breakers. `askedMs` is by `performance.now()`. */
export function followStopped(
  store: Store,
  {
    onAnswer,
    onError,
  }: {
    readonly onAnswer: (stopped: Stopped, askedMs: number) => void
    readonly onError: (error: unknown) => void
  },
): { stop(): void } {
  let ended = false
  let timer: NodeJS.Timeout | undefined

  async function look(): Promise<void> {
    const askedMs = performance.now()
    const stopped = await readStopped(store)
    if (!ended) onAnswer(stopped, askedMs)
  }
  function loop(): void {
    look()
      .catch(onError)
      .finally(() => {
        if (!ended) timer = setTimeout(loop, pollMs)
      })
  }
  loop()
  return {
    stop() {
      ended = true
      clearTimeout(timer)
    },
  }
}
