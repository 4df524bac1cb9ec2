/** Which deliveries of one channel are settled; their tags count up from 1. */
export interface Acks {
  /**
   * Any order; what is settled already is passed over. Sent at the end of this turn: the settled prefix with one frame, what is ahead of it one by
   * one.
   */
  settle(tags: readonly number[]): void
  /** Sends now. */
  flush(): void
}

export function createAcks(ack: (deliveryTag: number, multiple: boolean) => void): Acks {
  let next = 1
  /** Settled and acknowledged, but something before them is not. */
  const ahead = new Set<number>()

  let waiting: number[] = []

  function flush(): void {
    // The server knows no tag twice: the frame for the prefix must name one that was not acknowledged alone.
    let last = 0
    const alone: number[] = []
    const tags = waiting.sort((a, b) => a - b)
    waiting = []
    for (const tag of tags) {
      if (tag < next || ahead.has(tag)) continue
      if (tag === next) {
        last = tag
        next++
        while (ahead.delete(next)) next++
      } else {
        ahead.add(tag)
        alone.push(tag)
      }
    }
    if (last > 0) ack(last, true)
    for (const tag of alone) ack(tag, false)
  }

  return {
    settle(tags) {
      if (tags.length === 0) return
      if (waiting.length === 0) setImmediate(flush)
      for (const tag of tags) waiting.push(tag)
    },
    flush,
  }
}
