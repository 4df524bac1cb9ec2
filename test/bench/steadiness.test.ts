import { describe, expect, test } from 'vitest'
import { createWorkload } from '../../src/bench/plan.ts'
import { createShared } from '../../src/bench/shared.ts'
import { findDrift } from '../../src/bench/steadiness.ts'
import { createTracker } from '../../src/bench/tracker.ts'
import { planOf } from './fake/plan.ts'

/** A finished run of 500 events, 100 of them warm-up, in which event k took `latencyUs(k)`. */
function finishedRun(latencyUs: (k: number) => number) {
  const workload = createWorkload(planOf())
  const shared = createShared(workload.total)
  shared.set('measuredFrom', workload.measuredFrom)
  shared.set('sent', workload.total)
  const tracker = createTracker(workload, shared, ['a'])
  for (let k = 0; k < workload.total; k++) tracker.done(0, k, workload.dueUs(k) + latencyUs(k))
  return findDrift(workload, shared, tracker)
}

describe('drift', () => {
  test('of a steady run is none', () => {
    expect(finishedRun((k) => 5_000 + (k % 7) * 100)).toEqual([])
  })

  test('of a growing queue names the handler and both ends', () => {
    expect(finishedRun((k) => 1_000 + k * 100)).toMatchObject([{ handler: 'a' }])
  })

  test('does not count the warm-up', () => {
    expect(finishedRun((k) => (k < 100 ? 10 : 5_000))).toEqual([])
  })

  test('towards faster is none', () => {
    expect(finishedRun((k) => 100_000 - k * 100)).toEqual([])
  })
})
