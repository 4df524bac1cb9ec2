/** Something to wait at. A ring that nobody waits for is remembered, so that none is lost between looking and waiting. */
export interface Doorbell {
  ring(): void
  /** Resolves at the next ring or when one of the signals aborts. One waiter at a time. */
  wait(...signals: readonly AbortSignal[]): Promise<void>
}

export function createDoorbell(): Doorbell {
  let rung = false
  let wake: (() => void) | undefined
  return {
    ring() {
      rung = true
      wake?.()
    },
    async wait(...signals) {
      if (rung || signals.some((signal) => signal.aborted)) {
        rung = false
        return
      }
      const { promise, resolve } = Promise.withResolvers<void>()
      const onWake = () => resolve()
      wake = onWake
      for (const signal of signals) signal.addEventListener('abort', onWake, { once: true })
      await promise
      for (const signal of signals) signal.removeEventListener('abort', onWake)
      wake = undefined
      rung = false
    },
  }
}
