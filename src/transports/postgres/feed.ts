import { setTimeout as delay } from 'node:timers/promises'
import type { LogEntry, LogReader } from '../../store/log.ts'
import type { Problems } from '../problems.ts'
import { createPages, type Pages } from './pages.ts'

const readAtOnce = 1000
const retryMs = 100

/** Whoever follows the tip of the log. */
export interface Follower {
  /** Something in here waits for what comes at the tip. */
  readonly following: boolean
  /** In order, without gaps; synchronous. */
  dispatch(entries: readonly LogEntry[]): void
}

/** One reader of the log for all groups and lanes of this process. */
export interface Feed {
  /** Everything up to here was handed to the followers, and is in the pages behind. */
  readonly tip: bigint
  readonly pages: Pages
  readonly followers: Set<Follower>
  /** The log ends before what was read of it: all of that is forgotten. */
  goBack(head: bigint): void
  /** A follower began to follow. */
  wake(): void
  /** Idempotent. */
  close(): Promise<void>
}

export async function openFeed(reader: LogReader, problems: Problems): Promise<Feed> {
  const closing = new AbortController()
  const followers = new Set<Follower>()
  let tip = await reader.head()
  let running: Promise<void> | undefined
  const pages = createPages(reader, () => tip)

  const isFollowed = () => [...followers].some((follower) => follower.following)

  async function readOn(): Promise<void> {
    await reader.beyond(tip, closing.signal)
    if (closing.signal.aborted) return
    const from = tip
    const entries = await reader.read(from, readAtOnce)
    if (from !== tip) return
    const last = entries.at(-1)
    // The head moved and there is nothing to read: what was there is gone already. Not a reason to spin.
    if (last === undefined) return delay(retryMs)
    pages.append(entries, tip)
    tip = last.position
    for (const follower of followers) follower.dispatch(entries)
  }

  const pause = (ms: number) => delay(ms, undefined, { signal: closing.signal }).catch(() => {})

  async function run(): Promise<void> {
    while (!closing.signal.aborted && isFollowed()) {
      // The reader opens a new connection by itself.
      await readOn().catch((error: unknown) => pause(problems.report(error, retryMs)))
    }
  }

  function wake(): void {
    if (closing.signal.aborted) return
    running ??= run().finally(() => {
      running = undefined
      if (isFollowed()) wake()
    })
  }

  return {
    get tip() {
      return tip
    },
    pages,
    followers,
    goBack(head) {
      tip = head
      pages.forget()
    },
    wake,
    async close() {
      closing.abort()
      await running
    },
  }
}
