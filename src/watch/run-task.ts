import { setTimeout as delay } from 'node:timers/promises'

export interface RunTask {
  readonly everyMs: number
  readonly signal: AbortSignal
  step(): Promise<void>
  onError(error: unknown): void
}

/** One step after the other, the next so long after the last one ended, until the signal. Never rejects. */
export async function startTask({ everyMs, signal, step, onError }: RunTask): Promise<void> {
  while (!signal.aborted) {
    try {
      await step()
    } catch (error) {
      if (!signal.aborted) onError(error)
    }
    await delay(everyMs, undefined, { signal }).catch(() => {})
  }
}
