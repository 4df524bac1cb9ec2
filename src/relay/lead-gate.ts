/** Whether this process leads, for those who have to wait for it. */
export interface LeadGate {
  /** Resolves when this process leads, with what aborts when it does no more; undefined once closed. */
  leading(): Promise<AbortSignal | undefined>
  enter(): void
  leave(): void
  close(): void
}

export function createLeadGate(): LeadGate {
  let current: AbortController | undefined
  let closed = false
  const waiting = new Set<(signal: AbortSignal | undefined) => void>()
  const tell = (signal: AbortSignal | undefined) => {
    for (const resolve of waiting) resolve(signal)
    waiting.clear()
  }
  return {
    async leading() {
      if (closed) return undefined
      return current?.signal ?? new Promise((resolve) => waiting.add(resolve))
    },
    enter() {
      current = new AbortController()
      tell(current.signal)
    },
    leave() {
      current?.abort()
      current = undefined
    },
    close() {
      closed = true
      tell(undefined)
    },
  }
}
