import { extname } from 'node:path'
import { MessageChannel, Worker } from 'node:worker_threads'
import type { BenchPlan } from './plan.ts'

export interface AlarmSetup {
  readonly plan: BenchPlan
  /** One Int32: not 0 ends it. */
  readonly ending: SharedArrayBuffer
}

/**
 * Rings when events are due. Timers of an event loop keep whole milliseconds; a thread that sleeps in the kernel wakes
 * within a tenth of one, costs next to nothing, and leaves the sender in its loop, where it reads acknowledgements.
 */
export interface Alarm {
  /** Rings from now on, at the due times after `epochNs` of CLOCK_MONOTONIC; several that are near each other share one. */
  start(epochNs: bigint, ring: () => void): void
  stop(): Promise<void>
}

// The same file is TypeScript under Node's type stripping and JavaScript in the package.
const threadFile = new URL(`./alarm-thread${extname(import.meta.url)}`, import.meta.url)

/** Resolves when its thread listens. A thread that fails fails this one: nobody would wake the sender any more. */
export async function openAlarm(plan: BenchPlan): Promise<Alarm> {
  const ending = new SharedArrayBuffer(4)
  const { port1, port2 } = new MessageChannel()
  const worker = new Worker(threadFile, { workerData: { plan, ending } satisfies AlarmSetup })
  await new Promise((resolve) => worker.once('message', resolve))
  return {
    start(epochNs, ring) {
      port1.on('message', ring)
      worker.postMessage({ epochNs, port: port2 }, [port2])
    },
    async stop() {
      const cell = new Int32Array(ending)
      Atomics.store(cell, 0, 1)
      Atomics.notify(cell, 0)
      port1.close()
      await worker.terminate()
    },
  }
}
