import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'

/** What the thread is told. */
export interface WatchdogSetup {
  readonly limitMs: number
  /** Int32s: beats of the event loop, 1 + the handler begun last, then the events of each handler that are in it. */
  readonly cells: SharedArrayBuffer
}

/**
 * Ends the process when its event loop has stood still for too long: a handler that never gives it back stops everything of the process, and
 * no time-out can fire. Who takes over runs the events that were begun one at a time, and the guilty one becomes a dead letter.
 */
export interface Watchdog {
  /** One more handler, to be named when it is the one. Its name is also what the thread hears. */
  know(handler: string): void
  begun(handler: string): void
  ended(handler: string): void
  stop(): Promise<void>
}

const beatMs = 200
export const ownCells = 2

// The same file is TypeScript under Node's type stripping and JavaScript in the package.
const threadFile = new URL(`./watchdog-thread${extname(import.meta.url)}`, import.meta.url)

/** Further ones are watched, but not named. */
const mostKnown = 1_000

/** Does not keep the process alive. */
export function startWatchdog(limitMs: number): Watchdog {
  const shared = new SharedArrayBuffer(4 * (ownCells + mostKnown))
  const cells = new Int32Array(shared)
  const indexOf = new Map<string, number>()
  const worker = new Worker(threadFile, { workerData: { limitMs, cells: shared } satisfies WatchdogSetup })
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
    know(handler) {
      if (indexOf.has(handler) || indexOf.size >= mostKnown) return
      indexOf.set(handler, indexOf.size)
      worker.postMessage(handler)
    },
    begun: (handler) => count(handler, 1),
    ended: (handler) => count(handler, -1),
    async stop() {
      clearInterval(timer)
      await worker.terminate()
    },
  }
}
