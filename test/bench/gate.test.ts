import { describe, expect, test } from 'vitest'
import { createCensored } from '../../src/bench/censored.ts'
import { parseGate } from '../../src/bench/gate.ts'
import { judgeGate, type Measured } from '../../src/bench/judge-gates.ts'
import type { Ledger } from '../../src/bench/ledger.ts'
import { EvtError } from '../../src/core/errors.ts'
import { createHistogram } from '../../src/core/histogram.ts'

const scope = { handlers: ['a.x', 'b.y'], offered: 1_000 }
const percentile = (q: number) => ({ kind: 'percentile', q })

describe('--gate', () => {
  test.each([
    ['e2e p99 < 100ms', { metric: 'e2e', statistic: percentile(0.99), operator: '<', limit: 100_000 }],
    ['e2e p99.9<=1.5s', { metric: 'e2e', statistic: percentile(0.999), operator: '<=', limit: 1_500_000 }],
    ['e2e[a.x] p95 < 2s', { metric: 'e2e', handler: 'a.x', statistic: percentile(0.95), limit: 2_000_000 }],
    ['p(95)<200', { metric: 'e2e', statistic: percentile(0.95), operator: '<', limit: 200_000 }],
    ['p95 < 200ms', { metric: 'e2e', statistic: percentile(0.95), limit: 200_000 }],
    ['accept p(99.9) < 5ms', { metric: 'accept', statistic: percentile(0.999), limit: 5_000 }],
    ['send_lag max < 500us', { metric: 'send_lag', statistic: { kind: 'max' }, limit: 500 }],
    ['e2e.all med < 3ms', { metric: 'e2e.all', statistic: percentile(0.5), limit: 3_000 }],
    ['e2e avg < 3ms', { metric: 'e2e', statistic: { kind: 'mean' } }],
    ['e2e count >= 5k', { metric: 'e2e', statistic: { kind: 'count' }, limit: 5_000 }],
    ['throughput > 950/s', { metric: 'throughput', statistic: { kind: 'rate' }, limit: 950 }],
    ['throughput rate >= 0.9k', { metric: 'throughput', limit: 900 }],
    ['lost == 0', { metric: 'lost', statistic: { kind: 'count' }, operator: '==', limit: 0 }],
    ['duplicates = 0', { metric: 'duplicates', operator: '==', limit: 0 }],
    ['reordered === 0', { metric: 'reordered', operator: '==' }],
    ['errors rate < 0.1%', { metric: 'errors', statistic: { kind: 'rate' }, limit: 0.001 }],
    ['errors count <= 3', { metric: 'errors', statistic: { kind: 'count' }, limit: 3 }],
    ['backlog.age < 10s', { metric: 'backlog.age', statistic: { kind: 'max' }, limit: 10_000_000 }],
  ])('%j is understood', (text, gate) => {
    expect(parseGate(text, scope)).toMatchObject({ text, ...gate })
  })

  test.each([
    ['', /it is not METRIC STATISTIC OPERATOR VALUE/],
    ['e2e p99', /it is not METRIC/],
    ['e2e p99 is small < 5', /it is not METRIC/],
    ['latency p99 < 5ms', /there is no metric 'latency'/],
    ['constructor p99 < 5ms', /there is no metric 'constructor'/],
    ['e2e < 5ms', /does not say which statistic/],
    ['e2e p0 < 5ms', /no statistic 'p0'/],
    ['e2e p100 < 5ms', /no statistic 'p100'/],
    ['e2e rate < 5ms', /no statistic 'rate' of e2e/],
    ['e2e toString < 5ms', /no statistic 'toString'/],
    ['lost p99 < 5', /no statistic 'p99' of lost/],
    ['e2e[c.z] p99 < 5ms', /no handler 'c\.z'/],
    ['accept[a.x] p99 < 5ms', /accept is not measured per handler/],
    ['e2e p99 << 5ms', /is not METRIC|not a number/],
    ['e2e p99 !< 5ms', /no operator|not METRIC|not a number/],
    ['e2e p99 < fast', /'fast' is not a number/],
    ['e2e p99 < 5 parsecs', /'parsecs' is no unit/],
    ['lost < 5ms', /'ms' is no unit/],
    ['e2e p99 < 100', /100 of what\?/],
    ['p95 < 200', /200 of what\?/],
    ['backlog.age < 10', /10 of what\?/],
  ])('%j is refused with its reason', (text, reason) => {
    expect(() => parseGate(text, scope)).toThrow(reason)
  })

  test.each([
    'e2e p99 < 0ms',
    'e2e p99 <= -1ms',
    'lost < 0',
    'lost == -1',
    'throughput > 1000',
    'throughput >= 1001',
    'errors rate > 100%',
    'errors rate < 0%',
  ])('%j is refused: no run could meet it', (text) => {
    expect(() => parseGate(text, scope)).toThrow(/no run could meet it/)
  })

  test('a time without a unit is a usage error that shows it with one', () => {
    try {
      parseGate('e2e p99 < 100', scope)
      expect.unreachable()
    } catch (error) {
      expect(error).toMatchObject({ code: 'usage', hint: expect.stringMatching(/write the unit: e2e p99 < 100ms/) })
    }
  })

  test('an unknown metric is a usage error that lists those that exist', () => {
    try {
      parseGate('latency p99 < 5ms', scope)
      expect.unreachable()
    } catch (error) {
      expect(error).toBeInstanceOf(EvtError)
      expect(error).toMatchObject({ code: 'usage', hint: expect.stringMatching(/e2e.*throughput.*lost/) })
    }
  })
})

const noEvents: Ledger = {
  scheduled: 0,
  sent: 0,
  unsent: 0,
  accepted: 0,
  rejected: 0,
  unknown: 0,
  subscribers: 1,
  handled: 0,
  retriedOpen: 0,
  deadLettered: 0,
  lost: 0,
  stillOpen: 0,
  unlocated: 0,
  duplicates: 0,
  reordered: 0,
}

interface Scene {
  readonly samplesUs?: Readonly<Record<string, readonly number[]>>
  readonly agesUs?: readonly number[]
  readonly ledger?: Partial<Ledger>
  readonly throughput?: number
  readonly doubts?: readonly string[]
}

function measured({ samplesUs = {}, agesUs = [], ledger, throughput = 0, doubts = [] }: Scene): Measured {
  const series = Object.entries(samplesUs).map(([handler, values]) => {
    const histogram = createHistogram()
    for (const value of values) histogram.record(value)
    return { metric: 'e2e' as const, handler, samples: createCensored(histogram, agesUs) }
  })
  return { series, ledger: { ...noEvents, ...ledger }, throughput, backlogAgeUs: 0, doubts }
}

const judge = (text: string, scene: Scene) => judgeGate(parseGate(text, scope), measured(scene))
const thousand = (us: number) => Array.from({ length: 1_000 }, () => us)

describe('a gate', () => {
  test.each([
    ['passes when the figure keeps the limit', 'e2e p99 < 100ms', { samplesUs: { 'a.x': thousand(50_000) } }, 'pass'],
    ['fails when it does not', 'e2e p99 < 10ms', { samplesUs: { 'a.x': thousand(50_000) } }, 'fail'],
    ['is open without samples', 'e2e p99 < 100ms', { samplesUs: { 'a.x': [] } }, 'inconclusive'],
    ['is open when nothing was measured', 'e2e p99 < 100ms', {}, 'inconclusive'],
    ['is open with too few samples', 'e2e p99.9 < 100ms', { samplesUs: { 'a.x': thousand(5) } }, 'inconclusive'],
    ['passes with just enough', 'e2e p99 < 100ms', { samplesUs: { 'a.x': thousand(5).slice(0, 300) } }, 'pass'],
    ['counts nothing without events', 'lost == 0', {}, 'inconclusive'],
    ['counts', 'lost == 0', { ledger: { sent: 5 } }, 'pass'],
    ['compares rates', 'throughput > 900', { throughput: 899, ledger: { sent: 5 } }, 'fail'],
    ['shares errors', 'errors rate < 1%', { ledger: { sent: 100, rejected: 1 } }, 'fail'],
  ])('%s', (_name, text, scene: Scene, verdict) => {
    expect(judge(text, scene).verdict).toBe(verdict)
  })

  test('without a handler holds only if it holds for every handler, and names the worst', () => {
    const scene = { samplesUs: { 'a.x': thousand(5_000), 'b.y': thousand(50_000) } }
    expect(judge('e2e p99 < 10ms', scene)).toMatchObject({ verdict: 'fail', handler: 'b.y' })
    expect(judge('e2e[a.x] p99 < 10ms', scene)).toMatchObject({ verdict: 'pass', handler: 'a.x' })
    expect(judge('e2e p99 < 1s', scene)).toMatchObject({ verdict: 'pass', handler: 'b.y' })
  })

  test('is open for a handler without samples although the others pass', () => {
    const scene = { samplesUs: { 'a.x': thousand(5_000), 'b.y': [] } }
    expect(judge('e2e p99 < 10ms', scene)).toMatchObject({ verdict: 'inconclusive', handler: 'b.y' })
  })

  test('is open when unfinished events could break it, and fails when their age already does', () => {
    const scene = { samplesUs: { 'a.x': thousand(5_000) }, agesUs: Array.from({ length: 100 }, () => 50_000) }
    expect(judge('e2e p99 < 100ms', scene)).toMatchObject({ verdict: 'inconclusive', atLeast: true })
    expect(judge('e2e p99 < 20ms', scene)).toMatchObject({ verdict: 'fail', atLeast: true })
    expect(judge('e2e p50 < 20ms', scene)).toMatchObject({ verdict: 'pass', atLeast: false })
  })

  test('is open when the run proves nothing, whatever the figure', () => {
    const scene = { samplesUs: { 'a.x': thousand(5_000) }, doubts: ['it was late'] }
    expect(judge('e2e p99 < 10ms', scene)).toMatchObject({ verdict: 'inconclusive', reason: 'it was late' })
    expect(judge('e2e p99 < 1ms', scene)).toMatchObject({ verdict: 'inconclusive' })
  })

  test('fails on a loss although the generator was the limit', () => {
    expect(judge('lost == 0', { ledger: { sent: 5, lost: 1 }, doubts: ['it was late'] }).verdict).toBe('fail')
  })
})
