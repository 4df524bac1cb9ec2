// The thread behind `watchdog.ts`: looks whether the event loop of its process still turns.
import { writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { ownCells, type WatchdogSetup } from './watchdog.ts'

const { limitMs, cells: shared } = workerData as WatchdogSetup
const handlers: string[] = []
parentPort?.on('message', (handler: string) => void handlers.push(handler))
const cells = new Int32Array(shared)
const looks = 10
const everyMs = Math.max(20, limitMs / looks)
let beats = 0
/** Looks, and not a clock: a machine that slept has not looked. */
let still = 0

setInterval(() => {
  const now = Atomics.load(cells, 0)
  still = now === beats ? still + 1 : 0
  beats = now
  if (still >= looks) end()
}, everyMs)

function end(): never {
  const last = handlers[Atomics.load(cells, 1) - 1] ?? 'none'
  const inside = handlers.filter((_, at) => Atomics.load(cells, ownCells + at) > 0)
  writeSync(
    2,
    `evt: the watchdog ends the process: its event loop has stood still for ${limitMs} ms; begun last: ${last}; in a handler: ${inside.join(', ') || 'none'}\n` +
      `hint: another bridge, or the next start, runs what was begun one at a time; see \`evt dlq list\`\n`,
  )
  // Nothing of the process can be asked to end itself: its loop stands still.
  process.kill(process.pid, 'SIGKILL')
  throw new Error('unreachable')
}
