// Room bench: an honest load test. Events are due by a schedule, latency counts from the due time, every event is
// accounted for. Knows core, the store and the bridge's public face; may not know a concrete transport or a command.
import type { Arrival } from '../core/arrival.ts'
import { countDue, createSchedule, type Schedule } from '../core/pacer.ts'
import type { RateSegment, RateShape } from '../core/rate.ts'
import { createKeyChoice, type Skew } from './keys.ts'

/** Everything that decides which event is due when; plain data, so that it crosses to the generator's thread. */
export interface BenchPlan {
  /** Names the run in everything that it leaves behind. */
  readonly run: string
  readonly shape: RateShape
  readonly arrival: Arrival
  readonly seed: number
  readonly warmupMs: number
  readonly durationMs: number
  readonly keys: number
  readonly skew: Skew
  /** Bytes of `data`, taken in turn. */
  readonly sizesBytes: readonly number[]
  /** Sent and not acknowledged events above which the generator waits. */
  readonly maxInflight: number
  readonly pacing: Pacing
}

/**
 * `auto` is woken by a thread of its own within a tenth of a millisecond; `timer` sleeps to the millisecond; `precise` burns
 * a core for the last two.
 */
export type Pacing = 'auto' | 'timer' | 'precise'

/** The plan as functions of the event's number k; both threads make their own and agree. */
export interface Workload {
  readonly plan: BenchPlan
  readonly schedule: Schedule
  /** Events of the whole run, the warm-up included; for `max` the most that it will send. */
  readonly total: number
  /** The first event that counts for latency; for `max` that is only known during the run. */
  readonly measuredFrom: number
  readonly endMs: number
  /** When event k is due, µs after the start. */
  dueUs(k: number): number
  keyOf(k: number): number
  subjectOf(k: number): string
}

/** An unpaced run stops here: its memory must have a bound. */
const mostUnpaced = 5_000_000

export function createWorkload(plan: BenchPlan): Workload {
  const schedule = createSchedule({ shape: withWarmup(plan), arrival: plan.arrival, seed: plan.seed })
  const endMs = plan.warmupMs + plan.durationMs
  const keyOf = createKeyChoice(plan.keys, plan.skew, plan.seed)
  return {
    plan,
    schedule,
    total: schedule.paced ? countDue(schedule, endMs) : mostUnpaced,
    measuredFrom: schedule.paced ? countDue(schedule, plan.warmupMs) : mostUnpaced,
    endMs,
    dueUs: (k) => schedule.at(k) * 1_000,
    keyOf,
    subjectOf: (k) => subjectOfKey(keyOf(k)),
  }
}

export const subjectOfKey = (key: number) => `key/${key}`

/** A ramp or a step series starts after the warm-up, which runs at its first rate. */
function withWarmup({ shape, warmupMs }: BenchPlan): RateShape {
  const first = shape === 'max' ? undefined : shape[0]
  if (shape === 'max' || !first || warmupMs === 0 || first.durationMs === Infinity) return shape
  const perSecond = first.from || first.to
  const warmup: RateSegment = { from: perSecond, to: perSecond, durationMs: warmupMs }
  return [warmup, ...shape]
}

/** Events per second that the measured part asks for on average; undefined for `max`. */
export function offeredPerSecond(workload: Workload): number | undefined {
  if (!workload.schedule.paced) return undefined
  return (workload.total - workload.measuredFrom) / (workload.plan.durationMs / 1_000)
}
