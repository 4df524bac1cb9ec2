import { describe, expect, onTestFinished, test } from 'vitest'
import { openAlarm } from '../../src/bench/alarm.ts'
import { createRunClock, monotonicNs } from '../../src/bench/clock.ts'
import { createWorkload } from '../../src/bench/plan.ts'
import { runBench } from '../../src/bench/run.ts'
import { parseArrival } from '../../src/core/arrival.ts'
import { constantRate } from '../../src/core/rate.ts'
import { until } from '../setup/until.ts'
import { optionsOf, planOf } from './fake/plan.ts'
import { createFakeTarget } from './fake/target.ts'

describe('the alarm of auto pacing', () => {
  test.each(['uniform', 'poisson', 'burst:7'])(
    'rings for the last of %s arrivals, and not much more often than they are due',
    async (arrival) => {
      const plan = planOf({ arrival: parseArrival(arrival), pacing: 'auto' })
      const { total, dueUs } = createWorkload(plan)
      const alarm = await openAlarm(plan)
      onTestFinished(() => alarm.stop())
      const epochNs = monotonicNs() + 5_000_000n
      const clock = createRunClock(epochNs)
      const rangUs: number[] = []
      alarm.start(epochNs, () => rangUs.push(clock()))
      await until(() => (rangUs.at(-1) ?? 0) >= dueUs(total - 1) - 100)
      expect(rangUs[0]).toBeGreaterThanOrEqual(-100)
      expect(rangUs.length).toBeLessThanOrEqual(total)
    },
  )

  test('stops in the middle of a long sleep', async () => {
    const plan = planOf({ shape: constantRate(0.01), durationMs: 200_000, pacing: 'auto' })
    const alarm = await openAlarm(plan)
    alarm.start(monotonicNs() + 60_000_000_000n, () => {})
    await alarm.stop()
  })

  test.each(['uniform', 'poisson', 'burst:7'])(
    'has every event of %s arrivals sent, none of them early',
    async (arrival) => {
      const plan = planOf({ arrival: parseArrival(arrival), pacing: 'auto' })
      const result = await runBench(optionsOf({ plan }), createFakeTarget({ serviceMs: 1 }))
      expect(result.ledger).toMatchObject({ sent: result.ledger.scheduled, unsent: 0, lost: 0, balanced: true })
      const lag = result.latencies.find(({ metric }) => metric === 'send_lag')
      expect(lag?.samples).toBeGreaterThan(300)
      expect(result.notices.join()).not.toMatch(/below 0/)
    },
  )
})
