import { type EventLoopUtilization, PerformanceObserver, performance } from 'node:perf_hooks'
import { parentPort, workerData } from 'node:worker_threads'
import { toError } from '../core/errors.ts'
import { type Alarm, openAlarm } from './alarm.ts'
import { createRunClock } from './clock.ts'
import type { FromGenerator, GeneratorSetup, ToGenerator } from './generator.ts'
import { type PaceLoop, startPaceLoop } from './pace-loop.ts'
import { createPayloads } from './payload.ts'
import { createWorkload, subjectOfKey } from './plan.ts'
import { attachShared } from './shared.ts'
import type { ConnectProducer, Producer } from './target.ts'

// The generator's thread: it owns the schedule's loop and the producer's connections, and does nothing else, so that
// neither handlers nor the report can make it late.
const setup = workerData as GeneratorSetup
const port = parentPort
if (!port) throw new Error('this file runs in a worker thread')

const say = (message: FromGenerator) => port.postMessage(message)
const workload = createWorkload(setup.plan)
const shared = attachShared(setup.buffers)
const dataOf = createPayloads(setup.plan.run, setup.plan.sizesBytes)
let producer: Producer | undefined
let loop: PaceLoop | undefined
let alarm: Alarm | undefined
let gcMs = 0
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) gcMs += entry.duration
}).observe({ entryTypes: ['gc'] })

async function connect(): Promise<void> {
  const { connectProducer } = (await import(setup.producer.module)) as { readonly connectProducer: ConnectProducer }
  producer = await connectProducer(setup.producer.options as never)
  if (setup.plan.pacing === 'auto' && workload.schedule.paced) alarm = await openAlarm(setup.plan)
  say({ is: 'ready' })
}

/** Probes carry negative numbers: -1 goes to key 0, -2 to key 1. */
function probe(count: number): void {
  const batch = Array.from({ length: count }, (_, key) => ({
    k: -1 - key,
    key,
    subject: subjectOfKey(key),
    dataText: dataOf(-1 - key),
  }))
  producer?.publish(batch, (_ks, state, reason) => {
    if (state !== 'accepted') say({ is: 'probe-failed', reason: reason ?? state })
  })
}

async function run(epochNs: bigint): Promise<void> {
  if (!producer) throw new Error('the producer is not connected')
  const before: EventLoopUtilization = performance.eventLoopUtilization()
  gcMs = 0
  const onAlarm = alarm && ((ring: () => void) => alarm?.start(epochNs, ring))
  loop = startPaceLoop({ workload, shared, producer, clock: createRunClock(epochNs), ...(onAlarm && { onAlarm }) })
  await loop.finished
  say({ is: 'sent', busy: performance.eventLoopUtilization(before).utilization, gcMs, reasons: [...loop.reasons] })
}

async function close(): Promise<void> {
  loop?.stop()
  await alarm?.stop()
  await producer?.close()
  say({ is: 'closed' })
  port?.close()
}

const fail = (thrown: unknown) => {
  const error = toError(thrown) as Error & { code?: string; hint?: string }
  say({ is: 'failed', message: error.message, code: error.code, hint: error.hint })
}

port.on('message', (message: ToGenerator) => {
  if (message.do === 'probe') probe(message.count)
  else if (message.do === 'run') run(message.epochNs).catch(fail)
  else close().catch(fail)
})
connect().catch(fail)
