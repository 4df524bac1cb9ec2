import type { HandlerKind } from '../../bench/bridge/handler-kind.ts'
import { nameKinds } from '../../bench/bridge/handler-kind.ts'
import { newRunName } from '../../bench/bridge/names.ts'
import { type Gate, parseGate } from '../../bench/gate.ts'
import type { Skew } from '../../bench/keys.ts'
import { type BenchPlan, createWorkload, offeredPerSecond, type Pacing } from '../../bench/plan.ts'
import type { Arrival } from '../../core/arrival.ts'
import { EvtError } from '../../core/errors.ts'
import type { RateShape } from '../../core/rate.ts'

export interface BenchFlags {
  readonly rate: RateShape
  readonly duration: number | undefined
  readonly warmup: number
  readonly arrival: Arrival
  readonly seed: number
  readonly size: readonly number[]
  readonly keys: number
  readonly skew: Skew
  readonly handler: readonly HandlerKind[]
  readonly gate: readonly string[]
  readonly maxInflight: number
  readonly drainTimeout: number
  readonly pacing: Pacing
}

export interface PlannedBench {
  readonly plan: BenchPlan
  readonly kinds: readonly HandlerKind[]
  readonly gates: readonly Gate[]
  readonly drainTimeoutMs: number
}

/** Everything that can be wrong about the flags is found here, before anything is opened. `usual`: the handler when none is named. */
export function planBench(flags: BenchFlags, usual: HandlerKind = { kind: 'effect' }): PlannedBench {
  const kinds: readonly HandlerKind[] = flags.handler.length > 0 ? flags.handler : [usual]
  if (flags.keys < 1) throw new EvtError('usage', 'cannot bench with 0 keys: there must be a subject to send')
  const plan: BenchPlan = {
    run: newRunName(),
    shape: flags.rate,
    arrival: flags.arrival,
    seed: flags.seed,
    warmupMs: flags.warmup,
    durationMs: durationOf(flags),
    keys: flags.keys,
    skew: flags.skew,
    sizesBytes: flags.size,
    maxInflight: windowOf(flags),
    pacing: flags.pacing,
  }
  const workload = createWorkload(plan)
  if (workload.total <= (workload.schedule.paced ? workload.measuredFrom : 0)) {
    throw new EvtError('usage', `cannot bench: within ${plan.durationMs / 1_000} s no event is due`, {
      hint: 'raise --rate or --duration',
    })
  }
  const scope = { handlers: nameKinds(kinds), offered: offeredPerSecond(workload) }
  const gates = flags.gate.map((text) => parseGate(text, scope))
  return { plan, kinds, gates, drainTimeoutMs: flags.drainTimeout }
}

const usualDurationMs = 8_000

function durationOf({ rate, duration }: BenchFlags): number {
  const shapeMs = rate === 'max' ? Infinity : rate.reduce((sum, segment) => sum + segment.durationMs, 0)
  if (duration === 0) throw new EvtError('usage', 'cannot bench for 0 s: nothing would be measured')
  if (duration === undefined) return shapeMs === Infinity ? usualDurationMs : shapeMs
  if (duration <= shapeMs) return duration
  throw new EvtError(
    'usage',
    `cannot bench for ${duration / 1_000} s: the schedule of --rate ends after ${shapeMs / 1_000} s`,
    {
      hint: 'leave --duration out, or lengthen the schedule',
    },
  )
}

/** An unpaced run needs a window to be emptied; a paced one only a bound on memory. */
const unpacedWindow = 1_000
const leastWindow = 100

function windowOf({ rate, maxInflight }: BenchFlags): number {
  if (rate === 'max') return unpacedWindow
  const peak = Math.max(...rate.flatMap(({ from, to }) => [from, to]))
  return Math.max(leastWindow, Math.ceil((peak * maxInflight) / 1_000))
}
