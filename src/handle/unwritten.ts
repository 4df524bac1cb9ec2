import type { Entry, Item } from './item.ts'
import type { HandlerMeter } from './recorder.ts'

/** Attempts whose outcome the store refuses to write down, again and again: nothing behind them in their lanes is handled meanwhile. */
export interface Unwritten {
  refused(item: Item, error: string): void
  /** What became of these is written down. */
  done(entries: readonly Entry[]): void
}

export function createUnwritten(meter: Pick<HandlerMeter, 'unwritten'>): Unwritten {
  const known = new Map<Item, { readonly sinceMs: number; error: string }>()

  function tell(): void {
    // What lies in a lane that went elsewhere is its next owner's.
    for (const item of known.keys()) if (item.owned.closed) known.delete(item)
    const [oldest] = known.values()
    meter.unwritten(oldest)
  }

  return {
    refused(item, error) {
      const before = known.get(item)
      if (before) before.error = error
      else known.set(item, { sinceMs: performance.now(), error })
      tell()
    },
    done(entries) {
      if (known.size === 0) return
      for (const { item } of entries) known.delete(item)
      tell()
    },
  }
}
