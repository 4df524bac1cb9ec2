import { once } from 'node:events'
import { expect, test } from 'vitest'
import { runBench } from '../../src/bench/run.ts'
import { createHistogram, type Histogram } from '../../src/core/histogram.ts'
import { createSchedule } from '../../src/core/pacer.ts'
import { constantRate } from '../../src/core/rate.ts'
import { optionsOf, planOf } from './fake/plan.ts'
import { createFakeTarget, type FakeTarget } from './fake/target.ts'

const freeze = { afterMs: 2_000, everyMs: 4_000, forMs: 400 }
const serviceMs = 1
const durationMs = 8_000
const shape = constantRate(1_000)

/** What a client says that waits for each answer before it asks again: it asks nothing while the broker stands still. */
async function measureClosedLoop(target: FakeTarget, signal: AbortSignal): Promise<Histogram> {
  const histogram = createHistogram()
  const port = target.connect()
  for (let k = 0; !signal.aborted; k++) {
    const startNs = process.hrtime.bigint()
    port.postMessage({ publish: [k] })
    await once(port, 'message')
    histogram.record(Number(process.hrtime.bigint() - startNs) / 1_000)
  }
  port.close()
  return histogram
}

/** Every event of the schedule, served at once or when the freeze ends. */
function computeTruth(): Histogram {
  const schedule = createSchedule({ shape })
  const histogram = createHistogram()
  for (let k = 0; schedule.at(k) < durationMs; k++) {
    const sinceFreeze = (schedule.at(k) + freeze.everyMs - freeze.afterMs) % freeze.everyMs
    histogram.record((Math.max(0, freeze.forMs - sinceFreeze) + serviceMs) * 1_000)
  }
  return histogram
}

const within = (share: number, value: number) => ({ low: value * (1 - share), high: value * (1 + share) })

test('where a broker freezes, a closed loop sees nothing and the bench tells the truth', {
  timeout: 40_000,
  // Real time: a machine that stops for a moment makes the freeze longer than the schedule knows.
  retry: 2,
}, async () => {
  const target = createFakeTarget({ serviceMs, freeze })
  const stop = new AbortController()
  let closedLoop: Promise<Histogram> | undefined
  const options = optionsOf({
    plan: planOf({ shape, warmupMs: 0, durationMs }),
    onProgress({ phase }) {
      if (phase === 'load') closedLoop ??= measureClosedLoop(target, stop.signal)
      if (phase === 'drain') stop.abort()
    },
  })
  const result = await runBench(options, target)
  const e2e = result.latencies.find(({ metric }) => metric === 'e2e')
  const truthUs = computeTruth().percentile(0.99) ?? 0
  const closed = await closedLoop

  expect(truthUs).toBeGreaterThan(within(0.02, 361_000).low)
  expect(truthUs).toBeLessThan(within(0.02, 361_000).high)
  expect(e2e).toMatchObject({ samples: 8_000, unfinished: 0 })
  for (const wanted of [362_000, truthUs]) {
    expect(e2e?.p99?.us).toBeGreaterThan(within(0.1, wanted).low)
    expect(e2e?.p99?.us).toBeLessThan(within(0.1, wanted).high)
  }
  expect(closed?.count).toBeGreaterThan(500)
  expect(closed?.percentile(0.99)).toBeLessThan(30_000)
  expect(result.ledger).toMatchObject({ sent: 8_000, handled: 8_000, balanced: true })
})
