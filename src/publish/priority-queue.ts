import { Fifo } from './fifo.ts'

export interface Queued {
  /** The subject; null has no order. */
  readonly key: string | null
  /** 0 critical, 1 high, 2 normal, 3 low. */
  readonly level: number
}

/** What waits of one subject, in its order. It stands in the level of the most urgent of them. */
interface Line<T> {
  readonly key: string
  readonly items: Fifo<T>
  /** How many of each level wait in it. */
  readonly counts: number[]
  level: number
  /** Entries in each level that it has left. */
  readonly left: number[]
}

/** While all four have something, of 15 events so many leave of each: the lowest goes on, whatever comes above it. */
export const weights: readonly number[] = [8, 4, 2, 1]
const levels = [0, 1, 2, 3] as const

export interface PriorityQueue<T extends Queued> {
  readonly size: number
  readonly hasCritical: boolean
  push(item: T): void
  /** The next by priority and weight. `only` critical: lines without anything critical stay. Undefined when there is none. */
  shift(only?: 'critical'): T | undefined
}

/** An urgent event takes those of its subject along that came before it: nothing overtakes within a subject. */
export function createPriorityQueue<T extends Queued>(): PriorityQueue<T> {
  const queues = levels.map(() => new Fifo<T | Line<T>>())
  const lines = new Map<string, Line<T>>()
  let credits = [...weights]
  let size = 0
  let criticals = 0

  function pushLine(item: T, key: string): void {
    let line = lines.get(key)
    if (line === undefined) {
      line = { key, items: new Fifo(), counts: [0, 0, 0, 0], level: item.level, left: [0, 0, 0, 0] }
      lines.set(key, line)
      queues[item.level]?.push(line)
    } else if (item.level < line.level) {
      line.left[line.level] = (line.left[line.level] ?? 0) + 1
      line.level = item.level
      queues[item.level]?.push(line)
    }
    line.items.push(item)
    line.counts[item.level] = (line.counts[item.level] ?? 0) + 1
  }

  /** One event of it; the line goes behind the others of its level, which may be a lower one now. */
  function shiftLine(line: Line<T>): T {
    const item = line.items.shift() as T
    line.counts[item.level] = (line.counts[item.level] ?? 0) - 1
    if (line.items.size === 0) {
      lines.delete(line.key)
      return item
    }
    line.level = line.counts.findIndex((count) => count > 0)
    queues[line.level]?.push(line)
    return item
  }

  function shiftLevel(level: number): T | undefined {
    const queue = queues[level] as Fifo<T | Line<T>>
    for (let entry = queue.shift(); entry !== undefined; entry = queue.shift()) {
      if (!('items' in entry)) return entry
      const left = entry.left[level] ?? 0
      // The oldest of its entries here are those that it has left.
      if (left === 0) return shiftLine(entry)
      entry.left[level] = left - 1
    }
    return undefined
  }

  /** The most urgent level that may still send in this round; a new round begins when none may. */
  function nextLevel(): number {
    let first = -1
    for (const level of levels) {
      if ((queues[level] as Fifo<unknown>).size === 0) continue
      if ((credits[level] ?? 0) > 0) return level
      if (first < 0) first = level
    }
    if (first >= 0) credits = [...weights]
    return first
  }

  function take(only: 'critical' | undefined): T | undefined {
    if (only) return shiftLevel(0)
    for (let level = nextLevel(); level >= 0; level = nextLevel()) {
      const item = shiftLevel(level)
      if (item === undefined) continue
      credits[level] = (credits[level] ?? 0) - 1
      return item
    }
    return undefined
  }

  return {
    get size() {
      return size
    },
    get hasCritical() {
      return criticals > 0
    },
    push(item) {
      size += 1
      if (item.level === 0) criticals += 1
      if (item.key === null) queues[item.level]?.push(item)
      else pushLine(item, item.key)
    },
    shift(only) {
      const item = take(only)
      if (item === undefined) return undefined
      size -= 1
      if (item.level === 0) criticals -= 1
      return item
    },
  }
}
