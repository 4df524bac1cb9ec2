import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import type { AlarmSetup } from './alarm.ts'
import { createRunClock } from './clock.ts'
import { createWorkload } from './plan.ts'

/**
 * Not more often than this: each ring costs two threads some 20 µs, and the events that share one share an insert. At
 * 5,000/s rings in half the time made the target do a third more work, and it was the slower for it.
 */
const leastGapUs = 900
/** Linux wakes a sleeper that much too late. */
const slackUs = 50

const { plan, ending } = workerData as AlarmSetup
const workload = createWorkload(plan)
const cell = new Int32Array(ending)

function ringAll(port: MessagePort, clock: () => number): void {
  let [k, ringUs] = [0, workload.dueUs(0)]
  while (k < workload.total && Atomics.load(cell, 0) === 0) {
    const aheadUs = ringUs - clock()
    if (aheadUs > slackUs) {
      Atomics.wait(cell, 0, 0, (aheadUs - slackUs) / 1_000)
      continue
    }
    port.postMessage(undefined)
    const servedUs = Math.max(ringUs, clock())
    while (k < workload.total && workload.dueUs(k) <= servedUs) k++
    // The gap counts from the schedule: a ring that was late delays none after it.
    ringUs = Math.max(workload.dueUs(k), ringUs + leastGapUs)
  }
}

interface Start {
  readonly epochNs: bigint
  readonly port: MessagePort
}
parentPort?.on('message', ({ epochNs, port }: Start) => ringAll(port, createRunClock(epochNs)))
parentPort?.postMessage('ready')
