import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import type { RedisConnections } from './connect.ts'
import { isOutage } from './errors.ts'
import { bellOf } from './topic.ts'

const pingMs = 2_000
const retryMs = 200

/** Doorbells of streams over one connection. A hint: rings may be lost, so that whoever listens looks every now and then too. */
export interface Bells {
  /** Rings are heard at the moment; otherwise look more often. */
  readonly audible: boolean
  /** `onRing` at every append, and whenever rings may have been lost. Returns how to stop. */
  listen(stream: string, onRing: () => void): () => void
  close(): void
}

export function createBells(connections: RedisConnections): Bells {
  const listeners = new Map<string, Set<() => void>>()
  const closing = new AbortController()
  let subscriber: Redis | undefined
  let audible = false
  let running = false

  const ringAll = () => {
    for (const set of listeners.values()) for (const ring of set) ring()
  }

  async function subscribe(channels: readonly string[]): Promise<void> {
    if (subscriber === undefined || channels.length === 0) return
    await subscriber.subscribe(...channels).then(
      () => {
        audible = true
      },
      // Not allowed; or the connection has just gone, and a new one has to be asked.
      (error: unknown) => {
        audible = false
        if (isOutage(error)) subscriber?.disconnect()
      },
    )
  }

  async function session(): Promise<void> {
    const one = await connections.openOwn()
    const ended = new AbortController()
    try {
      subscriber = one
      one.on('message', (channel: string) => {
        for (const ring of listeners.get(channel) ?? []) ring()
      })
      if (one.status !== 'ready') return
      const closed = once(one, 'close', { signal: closing.signal }).finally(() => ended.abort())
      closed.catch(() => {})
      await subscribe([...listeners.keys()])
      ringAll()
      while (!ended.signal.aborted) {
        // A connection that is half-open shows by what it owes us.
        await delay(pingMs, undefined, { signal: ended.signal, ref: false }).catch(() => {})
        if (!ended.signal.aborted) one.ping().catch(() => {})
      }
      await closed
    } finally {
      subscriber = undefined
      audible = false
      one.disconnect()
    }
  }

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      await session().catch(() => {})
      await delay(retryMs, undefined, { signal: closing.signal, ref: false }).catch(() => {})
    }
  }

  return {
    get audible() {
      return audible
    },
    listen(stream, onRing) {
      const channel = bellOf(stream)
      const known = listeners.get(channel)
      const set = known ?? new Set()
      listeners.set(channel, set.add(onRing))
      if (known === undefined) void subscribe([channel])
      if (!running) {
        running = true
        void run()
      }
      return () => {
        set.delete(onRing)
        if (set.size > 0 || listeners.get(channel) !== set) return
        listeners.delete(channel)
        subscriber?.unsubscribe(channel).catch(() => {})
      }
    },
    close() {
      closing.abort()
      subscriber?.disconnect()
    },
  }
}
