import type { Priority } from '../core/event.ts'

/** Who gets the next connection when all are in use. */
export interface ConnectionGate {
  readonly places: number
  /** Waits for a place; call what it resolves to exactly once, when the connection is free again. */
  enter(priority: Priority): Promise<() => void>
}

/** Of every fifteen places that are fought over, a class gets this many: low ones are slow, never starved. */
const weights: Readonly<Record<Priority, number>> = { critical: 8, high: 4, normal: 2, low: 1 }

interface Queue {
  readonly waiting: (() => void)[]
  readonly weight: number
  /** Virtual time (stride scheduling): the class with the smallest goes next. */
  pass: number
}

/** At most `places` are inside at once; the first of a class leaves first. */
export function createConnectionGate(places: number): ConnectionGate {
  const queues = Object.values(weights).map((weight): Queue => ({ waiting: [], weight, pass: 0 }))
  const queueOf = Object.fromEntries(Object.keys(weights).map((name, at) => [name, queues[at]])) as Record<
    Priority,
    Queue
  >
  let free = places
  let now = 0

  function leave(): void {
    const next = queues.reduce<Queue | undefined>(
      (best, queue) => (queue.waiting.length > 0 && (best === undefined || queue.pass < best.pass) ? queue : best),
      undefined,
    )
    if (!next) {
      free += 1
      return
    }
    now = next.pass
    next.pass += 1 / next.weight
    next.waiting.shift()?.()
  }

  const once = () => {
    let left = false
    return () => {
      if (left) return
      left = true
      leave()
    }
  }

  return {
    places,
    async enter(priority) {
      if (free > 0) {
        free -= 1
        return once()
      }
      const queue = queueOf[priority]
      // A class that was away must not come back with credit for all that time.
      if (queue.waiting.length === 0) queue.pass = Math.max(queue.pass, now)
      await new Promise<void>((resolve) => queue.waiting.push(resolve))
      return once()
    },
  }
}
