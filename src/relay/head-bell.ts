/** How far the log is, told by the sequencer in this process: nobody polls. */
export interface HeadBell {
  readonly head: bigint
  advance(head: bigint): void
  /** Resolves when the head is beyond this position, or the signal aborts. */
  beyond(position: bigint, signal: AbortSignal): Promise<void>
}

export function createHeadBell(): HeadBell {
  const waiting = new Set<{ readonly position: bigint; readonly resolve: () => void }>()
  let head = 0n
  return {
    get head() {
      return head
    },
    advance(to) {
      if (to <= head) return
      head = to
      for (const one of waiting) if (head > one.position) one.resolve()
    },
    async beyond(position, signal) {
      if (head > position || signal.aborted) return
      await new Promise<void>((resolve) => {
        const one = {
          position,
          resolve: () => {
            waiting.delete(one)
            signal.removeEventListener('abort', one.resolve)
            resolve()
          },
        }
        signal.addEventListener('abort', one.resolve, { once: true })
        waiting.add(one)
      })
    },
  }
}
