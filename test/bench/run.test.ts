import { describe, expect, test } from 'vitest'
import { parseGate } from '../../src/bench/gate.ts'
import type { LatencySummary } from '../../src/bench/result.ts'
import { runBench } from '../../src/bench/run.ts'
import { optionsOf, planOf } from './fake/plan.ts'
import { createFakeTarget } from './fake/target.ts'

const scope = { handlers: ['fake.effect'], offered: undefined }
const e2eOf = (latencies: readonly LatencySummary[]) => latencies.find(({ metric }) => metric === 'e2e')

describe('a run against a fake broker', () => {
  test('accounts for every event and closes the target', async () => {
    const target = createFakeTarget({ serviceMs: 1 })
    const result = await runBench(optionsOf(), target)
    expect(result.ledger).toEqual({
      scheduled: 500,
      sent: 500,
      unsent: 0,
      accepted: 500,
      rejected: 0,
      unknown: 0,
      subscribers: 1,
      handled: 500,
      retriedOpen: 0,
      deadLettered: 0,
      lost: 0,
      stillOpen: 0,
      unlocated: 0,
      duplicates: 0,
      reordered: 0,
      balanced: true,
    })
    expect(['done', 'inconclusive']).toContain(result.outcome)
    expect(target.isClosed).toBe(true)
  })

  test('counts latency only for events that were scheduled after the warm-up', async () => {
    const result = await runBench(optionsOf(), createFakeTarget({ serviceMs: 1 }))
    expect(e2eOf(result.latencies)).toMatchObject({ samples: 400, unfinished: 0 })
  })

  test('multiplies the books by the handlers and adds the first and the last of them', async () => {
    const result = await runBench(optionsOf(), createFakeTarget({ serviceMs: 1 }, ['a', 'b']))
    expect(result.ledger).toMatchObject({ subscribers: 2, handled: 1_000, balanced: true })
    expect(result.latencies.map(({ metric, handler }) => handler ?? metric)).toEqual(
      expect.arrayContaining(['a', 'b', 'e2e.all', 'e2e.first']),
    )
  })

  test.each([
    ['lost', { lost: [7, 8] }, { lost: 2, handled: 498 }],
    ['duplicated', { doubled: [9] }, { duplicates: 1, handled: 500 }],
    ['reordered', { delayed: { ks: [20], byMs: 60 } }, { reordered: 1, handled: 500 }],
  ])('an event that is %s breaks correctness, with no gate given', async (_name, fault, books) => {
    const options = optionsOf({ plan: planOf({ keys: 1 }), drainTimeoutMs: 300 })
    const result = await runBench(options, createFakeTarget({ serviceMs: 1, ...fault }))
    expect(result.ledger).toMatchObject({ ...books, balanced: true })
    expect(result.outcome).toBe('broken')
  })

  test('an event that never arrives is open, makes the run inconclusive and the maximum a lower bound', async () => {
    const options = optionsOf({ drainTimeoutMs: 300 })
    const result = await runBench(options, createFakeTarget({ serviceMs: 1, kept: [300] }))
    expect(result.ledger).toMatchObject({ stillOpen: 1, lost: 0, balanced: true })
    expect(result.outcome).toBe('inconclusive')
    const e2e = e2eOf(result.latencies)
    expect(e2e).toMatchObject({ samples: 400, unfinished: 1, max: { atLeast: true } })
    expect(e2e?.max?.us).toBeGreaterThan(300_000)
  })

  test('a refused event is an error, not a latency', async () => {
    const gates = [parseGate('errors rate < 0.1%', scope)]
    const result = await runBench(optionsOf({ gates }), createFakeTarget({ serviceMs: 1, refused: [400] }))
    expect(result.ledger).toMatchObject({ accepted: 499, rejected: 1, balanced: true })
    expect(result.gates[0]).toMatchObject({ value: 1 / 500 })
  })

  test('an event without an answer that a handler saw was accepted', async () => {
    const result = await runBench(
      optionsOf({ drainTimeoutMs: 300 }),
      createFakeTarget({ serviceMs: 1, unanswered: [5], lost: [6] }),
    )
    expect(result.ledger).toMatchObject({ accepted: 500, unknown: 0, handled: 499, lost: 1, balanced: true })
  })

  test('late events wait for room, are sent with their due time, and none is skipped', async () => {
    const options = optionsOf({ plan: planOf({ maxInflight: 2, durationMs: 150 }) })
    const result = await runBench(options, createFakeTarget({ serviceMs: 5 }))
    expect(result.ledger).toMatchObject({ scheduled: 400, sent: 400, handled: 400 })
    expect(result.load.late).toBeGreaterThan(100)
    expect(result.doubts[0]).toMatchObject({ kind: 'generator-bound' })
    const e2e = e2eOf(result.latencies)
    // Two at a time, 5 ms each: the last of 400 events is due at 200 ms and cannot be done before 1,000 ms.
    expect(e2e?.max?.us).toBeGreaterThan(700_000)
  })

  test('an interruption ends with the partial summary of what was due', async () => {
    const stop = new AbortController()
    const options = optionsOf({
      plan: planOf({ durationMs: 60_000 }),
      signal: stop.signal,
      onProgress: ({ phase, nowUs }) => phase === 'load' && nowUs > 100_000 && stop.abort(),
    })
    const result = await runBench(options, createFakeTarget({ serviceMs: 1 }))
    expect(result.outcome).toBe('interrupted')
    expect(result.ledger.scheduled).toBeLessThan(60_000)
    expect(result.ledger.handled).toBeGreaterThan(100)
    expect(result.ledger.balanced).toBe(true)
  })

  test('max sends as fast as its window is emptied', async () => {
    const options = optionsOf({ plan: planOf({ shape: 'max', maxInflight: 8, warmupMs: 20, durationMs: 100 }) })
    const result = await runBench(options, createFakeTarget({ serviceMs: 1 }))
    expect(result.load).toMatchObject({ rate: 'max', offeredRate: null })
    expect(result.ledger.sent).toBeGreaterThan(20)
    expect(result.ledger).toMatchObject({ handled: result.ledger.sent, balanced: true })
  })

  test('a producer that cannot connect fails the run, and the target is closed', async () => {
    const target = createFakeTarget({ serviceMs: 1 })
    const broken = { ...target, producer: { module: 'file:///nowhere/producer.ts', options: {} } }
    await expect(runBench(optionsOf(), broken)).rejects.toThrow(/Cannot find module|ERR_MODULE_NOT_FOUND|nowhere/)
    expect(target.isClosed).toBe(true)
  })
})
