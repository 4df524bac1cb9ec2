import { createPayloads } from './payload.ts'
import { subjectOfKey, type Workload } from './plan.ts'
import { type Shared, sendState } from './shared.ts'
import type { Outgoing, Producer, PublishState } from './target.ts'

export interface PaceLoopOptions {
  readonly workload: Workload
  readonly shared: Shared
  readonly producer: Producer
  /** µs since the start of the schedule. */
  readonly clock: () => number
  /** Of `auto` pacing: calls `ring` at least when an event has become due. */
  readonly onAlarm?: (ring: () => void) => void
}

export interface PaceLoop {
  /** Resolves when every event is sent, or after `stop`. */
  readonly finished: Promise<void>
  /** Why events were not accepted; a few different ones. */
  readonly reasons: ReadonlySet<string>
  /** What is not sent by now stays unsent. */
  stop(): void
}

/** Events that are handed over together; the clock is read for each such group. */
const groupSize = 16
/** After this long of sending, acknowledgements are read before more is sent. */
const yieldUs = 1_000
const lateUs = 10_000
const mostReasons = 3
/** `precise` gives up sleeping this long before an event is due. */
const spinUs = 2_000
/** An alarm may ring that much too early. */
const earlyUs = 100

/**
 * Sends every event when it is due or, being late, at once; in order; never skips one and never moves one's due time.
 * Waits only while more than `maxInflight` events are unacknowledged.
 */
export function startPaceLoop({ workload, shared, producer, clock, onAlarm }: PaceLoopOptions): PaceLoop {
  const { plan, schedule, total, dueUs } = workload
  const dataOf = createPayloads(plan.run, plan.sizesBytes)
  const finish = Promise.withResolvers<void>()
  const meter = createSendMeter(workload, shared)
  let next = 0
  let waiting: NodeJS.Timeout | NodeJS.Immediate | undefined
  let stopped = false
  const reasons = new Set<string>()

  const hasRoom = () => shared.get('sent') - shared.get('settled') < plan.maxInflight
  const isOver = (nowUs: number) => stopped || next >= total || (!schedule.paced && nowUs >= workload.endMs * 1_000)
  const isDue = (nowUs: number) => next < total && dueUs(next) <= nowUs

  function settled(ks: readonly number[], state: PublishState, reason?: string): void {
    const nowUs = clock()
    if (reason !== undefined && reasons.size < mostReasons) reasons.add(reason)
    for (const k of ks) meter.settled(k, state, nowUs)
    if (!waiting && !stopped) waiting = setImmediate(turn)
  }

  function sendGroup(nowUs: number): void {
    const group: Outgoing[] = []
    while (group.length < groupSize && isDue(nowUs) && hasRoom()) {
      const key = workload.keyOf(next)
      group.push({ k: next, key, subject: subjectOfKey(key), dataText: dataOf(next) })
      meter.sent(next, nowUs)
      next++
    }
    producer.publish(group, settled)
  }

  function turn(): void {
    waiting = undefined
    const beganUs = clock()
    let nowUs = beganUs
    while (!isOver(nowUs) && isDue(nowUs) && hasRoom() && nowUs - beganUs < yieldUs) {
      sendGroup(nowUs)
      nowUs = clock()
    }
    if (isOver(nowUs)) finish.resolve()
    else if (hasRoom()) waiting = waitUntil(dueUs(next) - nowUs)
  }

  function waitUntil(aheadUs: number): NodeJS.Timeout | NodeJS.Immediate {
    if (onAlarm && aheadUs <= earlyUs) return setImmediate(turn)
    const sleepUs = plan.pacing === 'precise' ? aheadUs - spinUs : aheadUs
    if (aheadUs <= 0 || sleepUs <= 0) return setImmediate(turn)
    return setTimeout(turn, Math.floor(sleepUs / 1_000))
  }

  waiting = setImmediate(turn)
  // Whichever is first, the timer or the alarm: on a machine that is busy an alarm may be the later one.
  onAlarm?.(() => {
    if (stopped) return
    clearTimeout(waiting as NodeJS.Timeout | undefined)
    clearImmediate(waiting as NodeJS.Immediate | undefined)
    turn()
  })
  return {
    finished: finish.promise,
    reasons,
    stop() {
      stopped = true
      finish.resolve()
    },
  }
}

/** Writes what happened to each event into the shared memory. */
function createSendMeter({ schedule, measuredFrom, dueUs, plan }: Workload, shared: Shared) {
  const states: Readonly<Record<PublishState, number>> = sendState
  let [windowStartUs, windowSent] = [0, 0]
  shared.set('measuredFrom', measuredFrom)
  const isMeasured = (k: number) => k >= shared.get('measuredFrom')
  /** An unpaced event has no due time but the moment when there was room for it. */
  const startUs = (k: number) => (schedule.paced ? dueUs(k) : (shared.sentUs[k] ?? 0))

  function countRate(nowUs: number): void {
    if (nowUs - windowStartUs >= 100_000) [windowStartUs, windowSent] = [nowUs, 0]
    windowSent += 1
    shared.set('peakPerSecond', Math.max(shared.get('peakPerSecond'), windowSent * 10))
  }

  return {
    sent(k: number, nowUs: number): void {
      if (!schedule.paced && nowUs >= plan.warmupMs * 1_000 && k < shared.get('measuredFrom')) {
        shared.set('measuredFrom', k)
      }
      shared.sentUs[k] = nowUs
      shared.states[k] = sendState.sent
      shared.set('sent', shared.get('sent') + 1)
      const lagUs = nowUs - startUs(k)
      if (lagUs > lateUs) shared.set('late', shared.get('late') + 1)
      if (isMeasured(k)) shared.sendLag.record(lagUs)
      countRate(nowUs)
    },
    settled(k: number, state: PublishState, nowUs: number): void {
      shared.settledUs[k] = nowUs
      shared.states[k] = states[state]
      shared.set('settled', shared.get('settled') + 1)
      if (isMeasured(k) && state === 'accepted') shared.accept.record(nowUs - startUs(k))
    },
  }
}
