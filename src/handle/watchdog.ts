import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'

/** What the thread is told. */
export interface WatchdogSetup {
  readonly limitMs: number
  /** Int32s: beats of the event loop, 1 + the handler begun last, then the events of each handler that are in it. */
  readonly cells: SharedArrayBuffer
  readonly handlers: readonly string[]
}

/**
 * Ends the process when its event loop has stood still for too long: a handler that never gives it back stops everything of the process, and
 * no time-out can fire. Who takes over runs the events that were begun one at a time, and the guilty one becomes a dead letter.
 */
export interface Watchdog {
  begun(handler: string): void
  ended(handler: string): void
  stop(): Promise<void>
}

const beatMs = 200
export const ownCells = 2

// The same file is TypeScript under Node's type stripping and JavaScript in the package.
const threadFile = new URL(`./watchdog-thread${extname(import.meta.url)}`, import.meta.url)

/** Handlers that it does not know are not named. Does not keep the process alive. */
export function startWatchdog(limitMs: number, handlers: readonly string[]): Watchdog {
  const shared = new SharedArrayBuffer(4 * (ownCells + handlers.length))
  const cells = new Int32Array(shared)
  const indexOf = new Map(handlers.map((name, at) => [name, at]))
  const worker = new Worker(threadFile, { workerData: { limitMs, cells: shared, handlers } satisfies WatchdogSetup })
  worker.unref()
  const timer = setInterval(() => Atomics.add(cells, 0, 1), beatMs)
  timer.unref()
  const count = (handler: string, by: number) => {
    const at = indexOf.get(handler)
    if (at === undefined) return
    cells[ownCells + at] = (cells[ownCells + at] ?? 0) + by
    if (by > 0) cells[1] = at + 1
  }
  return {
    begun: (handler) => count(handler, 1),
    ended: (handler) => count(handler, -1),
    async stop() {
      clearInterval(timer)
      await worker.terminate()
    },
  }
}
