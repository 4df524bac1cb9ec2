import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { answered } from './answered.ts'
import type { RedisContext } from './context.ts'
import { type Found, inOrder } from './history.ts'
import { type Cursor, createPageSize, type StoredEntry } from './pages.ts'

/** Below what a connection may owe its answer (connect.ts), and often enough to take up streams that appeared. */
const blockMs = 1_000
/** Between two looks in a cluster, where one XREAD cannot block on several slots. */
const pollMs = 50

/** Waits for what comes after cursors. */
export interface Live {
  /** What was stored after each, in order of time; [] when there was nothing within a second. Moves the cursors. */
  read(cursors: readonly Cursor[]): Promise<readonly Found[]>
  close(): void
}

/** On a connection of its own, which ends with `signal`. */
export function openLive({ connections }: RedisContext, signal: AbortSignal): Live {
  const size = createPageSize()
  let own: Redis | undefined
  const close = () => {
    own?.disconnect()
    own = undefined
  }
  signal.addEventListener('abort', close, { once: true })

  async function connection(): Promise<Redis> {
    own ??= await connections.openOwn()
    if (signal.aborted) close()
    return own ?? Promise.reject(new Error('Connection is closed.'))
  }

  async function wait(cursors: readonly Cursor[]): Promise<readonly Found[]> {
    const redis = await connection()
    const count = size.next(cursors.length)
    const streams = [...cursors.map(({ stream }) => stream), ...cursors.map(({ after }) => after)]
    const reply = (await answered(redis, blockMs, () =>
      redis.xreadBuffer('COUNT', count, 'BLOCK', blockMs, 'STREAMS', ...streams),
    )) as Reply
    return take(cursors, reply)
  }

  async function poll(cursors: readonly Cursor[]): Promise<readonly Found[]> {
    const count = size.next(cursors.length)
    const replies = await Promise.all(
      cursors.map(({ stream, after }) => connections.client.xreadBuffer('COUNT', count, 'STREAMS', stream, after)),
    )
    const found = take(
      cursors,
      replies.flatMap((reply) => (reply ?? []) as NonNullable<Reply>),
    )
    if (found.length === 0) await delay(pollMs, undefined, { signal }).catch(() => {})
    return found
  }

  function take(cursors: readonly Cursor[], reply: Reply): readonly Found[] {
    const byStream = new Map(cursors.map((cursor) => [cursor.stream, cursor]))
    return inOrder(
      (reply ?? []).map(([stream, entries]) => {
        const cursor = byStream.get(stream.toString())
        if (cursor === undefined) return []
        size.learn(entries)
        const found = entries.map((entry) => ({ cursor, entry, id: entry[0].toString() }))
        cursor.after = found.at(-1)?.id ?? cursor.after
        return found
      }),
    )
  }

  return {
    async read(cursors) {
      if (cursors.length > 0) return connections.isCluster ? poll(cursors) : wait(cursors)
      await delay(blockMs / 4, undefined, { signal }).catch(() => {})
      return []
    },
    close,
  }
}

type Reply = readonly (readonly [Buffer, readonly StoredEntry[]])[] | null
