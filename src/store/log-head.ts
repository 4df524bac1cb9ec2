import { setTimeout as delay } from 'node:timers/promises'
import { type Listener, openListener } from './listener.ts'

export interface LogHead {
  /** Resolves when the head is beyond this position, the signal aborts or this is closed. */
  beyond(position: bigint, signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** Knows when the log grew: by notification, and by looking every `backstopMs` while somebody waits. */
export function createLogHead(connectionString: string, readHead: () => Promise<bigint>, backstopMs: number): LogHead {
  let known = 0n
  let listener: Listener | undefined
  let looking: Promise<void> | undefined
  const closed = new AbortController()
  const waiting = new Set<{ readonly position: bigint; readonly resolve: () => void }>()

  const learn = (head: bigint): void => {
    if (head <= known) return
    known = head
    for (const one of waiting) if (known > one.position) one.resolve()
  }
  const look = async (): Promise<void> => {
    // An unreachable server is reported to whoever reads; waiting goes on until it is back.
    await readHead().then(learn, () => {})
  }
  const keepLooking = async (): Promise<void> => {
    await look()
    while (waiting.size > 0 && !closed.signal.aborted) {
      await delay(backstopMs, undefined, { signal: closed.signal }).catch(() => {})
      if (!closed.signal.aborted) await look()
    }
    looking = undefined
  }
  const listen = (): Listener =>
    openListener(connectionString, {
      channels: ['evt_log'],
      applicationName: 'evt log listener',
      // Anybody may notify anything: what is no position is a reason to look.
      onNotification: (_, payload) => (/^\d{1,18}$/.test(payload) ? learn(BigInt(payload)) : void look()),
      onListening: () => void look(),
    })

  return {
    async beyond(position, signal) {
      if (known > position || signal.aborted || closed.signal.aborted) return
      listener ??= listen()
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
        looking ??= keepLooking()
      })
    },
    async close() {
      closed.abort()
      for (const one of waiting) one.resolve()
      await Promise.all([listener?.close(), looking])
    },
  }
}
