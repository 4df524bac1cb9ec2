import type { BenchPlan } from '../../../src/bench/plan.ts'
import type { BenchOptions } from '../../../src/bench/run.ts'
import { constantRate } from '../../../src/core/rate.ts'

/** 500 events in a quarter of a second, the first 100 of them warm-up. */
export function planOf(changes: Partial<BenchPlan> = {}): BenchPlan {
  return {
    run: 't1',
    shape: constantRate(2_000),
    arrival: { kind: 'uniform' },
    seed: 1,
    warmupMs: 50,
    durationMs: 200,
    keys: 10,
    skew: { kind: 'uniform' },
    sizesBytes: [200],
    maxInflight: 10_000,
    pacing: 'timer',
    ...changes,
  }
}

export function optionsOf(changes: Partial<BenchOptions> = {}): BenchOptions {
  return {
    plan: planOf(),
    gates: [],
    drainTimeoutMs: 5_000,
    signal: new AbortController().signal,
    reproduce: 'evt bench',
    ...changes,
  }
}
