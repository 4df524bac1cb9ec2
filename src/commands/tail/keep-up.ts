import { createDoorbell } from '../../transports/doorbell.ts'

export interface Held<T> {
  readonly batches: AsyncIterable<readonly T[]>
  /** How many were dropped because the reader was slow. */
  dropped(): number
}

/**
 * Takes what comes at once, so that it does not pile up where it comes from, and keeps at most `most` for a reader that is slower: the
 * oldest go first.
 */
export function keepUp<T>(from: AsyncIterable<readonly T[]>, most: number): Held<T> {
  const bell = createDoorbell()
  const kept: (readonly T[])[] = []
  let size = 0
  let dropped = 0
  let isDone = false
  let error: unknown

  async function take(): Promise<void> {
    try {
      for await (const batch of from) {
        kept.push(batch)
        size += batch.length
        while (size > most && kept.length > 1) {
          const gone = kept.shift()?.length ?? 0
          size -= gone
          dropped += gone
        }
        bell.ring()
      }
    } catch (thrown) {
      error = thrown
    }
    isDone = true
    bell.ring()
  }

  async function* give(): AsyncGenerator<readonly T[]> {
    const taking = take()
    for (;;) {
      const batch = kept.length > 0 ? kept.splice(0).flat() : undefined
      size = 0
      if (batch) yield batch
      else if (isDone) break
      else await bell.wait()
    }
    await taking
    if (error !== undefined) throw error
  }
  return { batches: give(), dropped: () => dropped }
}
