import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import type { AlarmSetup } from './alarm.ts'
import { createRunClock } from './clock.ts'
import { createWorkload } from './plan.ts'

/** Waking and being woken costs some 20 µs on both sides: not more often than this. */
const leastGapUs = 500
/** Linux wakes a sleeper that much too late. */
const slackUs = 50

const { plan, ending } = workerData as AlarmSetup
const workload = createWorkload(plan)
const cell = new Int32Array(ending)

function ringAll(port: MessagePort, clock: () => number): void {
  let [k, rangUs] = [0, Number.NEGATIVE_INFINITY]
  while (k < workload.total && Atomics.load(cell, 0) === 0) {
    const aheadUs = Math.max(workload.dueUs(k), rangUs + leastGapUs) - clock()
    if (aheadUs > slackUs) {
      Atomics.wait(cell, 0, 0, (aheadUs - slackUs) / 1_000)
      continue
    }
    port.postMessage(undefined)
    rangUs = clock()
    while (k < workload.total && workload.dueUs(k) <= rangUs + slackUs) k++
  }
}

interface Start {
  readonly epochNs: bigint
  readonly port: MessagePort
}
parentPort?.on('message', ({ epochNs, port }: Start) => ringAll(port, createRunClock(epochNs)))
parentPort?.postMessage('ready')
