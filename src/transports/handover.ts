import { createDoorbell } from './doorbell.ts'

/** A queue between who finds things and who iterates over them. */
export interface Handover<T> {
  offer(item: T): void
  /** Ends at once when `signal` aborts. */
  iterate(signal: AbortSignal): AsyncGenerator<T, void, void>
  /** What nobody came for. */
  left(): readonly T[]
}

export function createHandover<T>(): Handover<T> {
  const bell = createDoorbell()
  const queue: T[] = []

  async function* iterate(signal: AbortSignal): AsyncGenerator<T, void, void> {
    while (!signal.aborted) {
      const item = queue.shift()
      if (item !== undefined) yield item
      else await bell.wait(signal)
    }
  }

  return {
    offer(item) {
      queue.push(item)
      bell.ring()
    },
    iterate,
    left: () => queue.splice(0),
  }
}
