import { setTimeout as delay } from 'node:timers/promises'
import { EvtError } from '../core/errors.ts'
import { isOutage } from '../store/errors.ts'
import { checkIdentity } from '../store/identity.ts'
import { type Lease, renewLease } from '../store/lease.ts'
import { tick } from '../store/sequencer.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import type { HeadBell } from './head-bell.ts'
import { createParking } from './parking.ts'
import type { RelayLog, RelayRecorder } from './relay-recorder.ts'
import type { RelayTimings } from './timings.ts'
import type { Wake } from './wake.ts'

export interface Leadership {
  readonly sql: SqlExecutor
  readonly lease: Lease
  readonly wake: Wake
  readonly recorder: RelayRecorder
  readonly log: RelayLog
  readonly timings: RelayTimings
  readonly stopping: AbortSignal
  /** Rung at each step: those who carry the log need not look. */
  readonly bell: HeadBell
}

/** Events of one step; doubled while a backlog is there, because a step has to look at all of it. */
const smallStep = 5_000
const largeStep = 160_000
/** Steps in a row that found something before a parked relay stops asking writers to notify. */
const busySteps = 4
const retryMs = { first: 20, longest: 1_000 } as const

/** Sequences until told to stop. Throws `fenced` when somebody else leads; lost connections are waited out. */
export async function lead(leadership: Leadership): Promise<void> {
  const { sql, stopping, timings, wake } = leadership
  const parking = createParking(sql, wake, timings)
  const renewal = keepRenewing(leadership)
  try {
    await outlive(leadership, () => parking.unpark())
    await sequence(leadership, parking)
  } finally {
    renewal.stop()
    // Writers need not notify somebody who is gone. Nobody to tell when the server is gone too.
    if (stopping.aborted) await parking.unpark().catch(() => {})
  }
}

async function sequence(leadership: Leadership, parking: ReturnType<typeof createParking>): Promise<void> {
  const { sql, lease, recorder, timings, stopping } = leadership
  let limit = smallStep
  let empty = 0
  let full = 0
  while (!stopping.aborted) {
    const step = await outlive(leadership, () => tick(sql, lease.epoch, limit))
    if (!step) return
    leadership.bell.advance(step.head)
    if (step.sequenced > 0) {
      recorder.sequenced(step.sequenced)
      parking.found()
    }
    limit = step.more ? Math.min(limit * 2, largeStep) : smallStep
    if (step.more) continue
    empty = step.sequenced > 0 ? 0 : empty + 1
    full = step.sequenced > 0 ? full + 1 : 0
    if (parking.parked && full < busySteps) {
      if (step.sequenced > 0) await delay(timings.busyGap)
      else await outlive(leadership, () => parking.sleep())
    } else if (parking.parked) {
      await outlive(leadership, () => parking.unpark())
    } else if (empty >= timings.emptySteps) {
      await outlive(leadership, () => parking.park())
    } else {
      await delay(timings.busyGap)
    }
  }
}

/**
 * Tries again while the server is away, with the epoch that we have: the lease may still be ours. Undefined when told to
 * stop meanwhile. After an outage the cluster may be another one, so that is checked first.
 */
async function outlive<T>(leadership: Leadership, work: () => Promise<T>): Promise<T | undefined> {
  const { sql, log, stopping } = leadership
  for (let waitMs: number = retryMs.first; ; waitMs = Math.min(waitMs * 2, retryMs.longest)) {
    try {
      if (waitMs > retryMs.first) await checkIdentity(sql)
      return await work()
    } catch (error) {
      if (!passes(error)) throw error
      if (waitMs === retryMs.first) log.warn('the relay waits for the database', { error: (error as Error).message })
      await delay(waitMs, undefined, { signal: stopping }).catch(() => {})
      if (stopping.aborted) return undefined
    }
  }
}

/** What passes by itself: lost and refused connections, deadlocks, serialization failures, lock timeouts. */
function passes(error: unknown): boolean {
  if (error instanceof EvtError) return isOutage(error) || error.code === 'timeout'
  return ['40001', '40P01', '53200', '53100', '58030'].includes(String((error as { code?: unknown }).code))
}

function keepRenewing({ sql, lease, timings, wake }: Leadership): { stop(): void } {
  let renewing = false
  const timer = setInterval(async () => {
    if (renewing) return
    renewing = true
    // A lost lease shows at the next step, which fails as fenced: look at once. A lost connection is the steps' affair.
    const kept = await renewLease(sql, lease, timings.lease).catch(() => true)
    if (!kept) wake.stir()
    renewing = false
  }, timings.renew)
  return { stop: () => clearInterval(timer) }
}
