import { setTimeout as delay } from 'node:timers/promises'
import { EvtError } from '../../core/errors.ts'

export interface Outages {
  /** Told once, until it is back. */
  lost(error: EvtError): void
  back(): void
}

export function createOutages(told: { onLost(error: EvtError): void; onBack(): void }): Outages {
  let isLost = false
  return {
    lost(error) {
      if (isLost) return
      isLost = true
      told.onLost(error)
    },
    back() {
      if (!isLost) return
      isLost = false
      told.onBack()
    },
  }
}

/** Away, not refusing: it may come back by itself. */
export const isOutage = (error: unknown): error is EvtError =>
  error instanceof EvtError && (error.code === 'connect' || error.code === 'timeout')

export interface Watch {
  readonly name: string
  /** Any question that the server itself must answer. */
  ask(): Promise<unknown>
  /** When its last event came, by `performance.now()`: then it is there. */
  lastMs(): number
  readonly signal: AbortSignal
  /** Default: 2 and 5 s. */
  readonly everyMs?: number
  readonly deadlineMs?: number
}

/**
 * Asks a silent server whether it is there: transports go on over outages by themselves, and a silence of minutes must not look
 * like a quiet topic. Ends when the signal aborts.
 */
export async function watchServer(outages: Outages, watch: Watch): Promise<void> {
  const { name, signal, everyMs = 2_000, deadlineMs = 5_000 } = watch
  for (;;) {
    await delay(everyMs, undefined, { signal, ref: false }).catch(() => {})
    if (signal.aborted) return
    if (performance.now() - watch.lastMs() < everyMs) {
      outages.back()
      continue
    }
    const late = new EvtError('timeout', `cannot reach ${name}: it does not answer`)
    const answer = await Promise.race([
      watch.ask().then(
        () => undefined,
        (error: unknown) => error,
      ),
      delay(deadlineMs, late, { signal, ref: false }).catch(() => undefined),
    ])
    if (signal.aborted) return
    if (answer === undefined) outages.back()
    else if (isOutage(answer)) outages.lost(answer)
  }
}
