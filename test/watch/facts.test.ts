import { describe, expect, it } from 'vitest'
import { createHistogram } from '../../src/core/histogram.ts'
import { median, robustScore, withValue } from '../../src/watch/alerts/baseline.ts'
import { factsOf, latenciesWith } from '../../src/watch/alerts/facts.ts'
import type { HandlerSample, InstanceSample, Snapshot } from '../../src/watch/snapshot.ts'

const empty = createHistogram().encode()
const startedAt = '2026-01-01T00:00:00.000Z'
const nowMs = Date.parse('2026-01-01T01:00:00.000Z')

function handlerOf(more: Partial<HandlerSample> & { readonly timesMs?: readonly number[] } = {}): HandlerSample {
  const { timesMs = [], ...given } = more
  const endToEnd = createHistogram()
  for (const ms of timesMs) endToEnd.record(ms * 1000)
  return {
    ...{
      handler: 'mail.welcome',
      group: 'mail',
      priority: 'normal',
      concurrency: 1,
      handled: timesMs.length,
      failed: 0,
    },
    ...{ retried: 0, dead: 0, skipped: 0, inFlight: 0, queued: 0, paused: false, health: 'healthy', runTime: empty },
    endToEnd: endToEnd.encode(),
    ...given,
  }
}

const instanceOf = (more: Partial<InstanceSample> = {}): InstanceSample => ({
  ...{
    instance: 'a',
    host: 'h',
    pid: 1,
    version: '1',
    roles: ['handlers'],
    leader: true,
    startedAt,
    ageMs: 500,
    alive: true,
  },
  handlers: [handlerOf()],
  stages: { relay: empty, deliver: empty, queue: empty, handle: empty },
  ...{ sequenced: 0, rssBytes: 1, cpu: 0 },
  ...more,
})

const snapshotOf = (instances: readonly InstanceSample[], more: Partial<Snapshot> = {}): Snapshot => ({
  stopped: [],
  takenAt: new Date(nowMs).toISOString(),
  clockMs: 0,
  store: { host: 'h', database: 'd', serverVersion: '18.0' },
  head: { position: '0', outboxPending: 0, oldestPendingMs: null },
  instances,
  backlog: [],
  dead: { open: 0, causes: [] },
  ...more,
})

const input = (earlier: Snapshot, later: Snapshot) => ({
  ...{ earlier, later, latencies: new Map<string, readonly number[]>(), placed: new Set(['mail.welcome']) },
  events: { perMinute: 40, usualPerMinute: null, refusedPerMinute: 3 },
  pressure: { horizon: undefined, notifyQueue: 0, sagas: [] },
})

describe('what alerts look at', () => {
  it('is what happened within the minute', () => {
    const earlier = snapshotOf([instanceOf({ handlers: [handlerOf({ handled: 10, failed: 5, dead: 1 })] })])
    const later = snapshotOf([instanceOf({ handlers: [handlerOf({ handled: 16, failed: 7, dead: 2 })] })], {
      head: { position: '0', outboxPending: 3, oldestPendingMs: 2_000 },
    })
    const facts = factsOf(input(earlier, later))
    expect(facts.handler).toMatchObject([
      { handledPerMinute: 6, failedPerMinute: 2, deadPerMinute: 1, errorRate: 0.25 },
    ])
    expect(facts.events).toEqual({ perMinute: 40, usualPerMinute: null, refusedPerMinute: 3 })
    expect(facts.store).toMatchObject({ outboxPending: 3, oldestPendingMs: 2_000, led: true })
  })

  const crashed = (...instances: readonly InstanceSample[]) =>
    factsOf(input(snapshotOf(instances), snapshotOf(instances))).handler[0]?.crashed
  it.each([
    ['none while its bridge lives', [instanceOf()], false],
    ['one when its bridge is silent', [instanceOf({ alive: false, ageMs: 5_000 })], true],
    ['one as long as nobody runs it', [instanceOf({ alive: false, ageMs: 3_000_000 })], true],
    [
      'one when others have only begun to go on',
      [instanceOf({ alive: false, ageMs: 60_000, takenOver: [] }), instanceOf({ instance: 'b' })],
      true,
    ],
    [
      'none when others have gone on for a while',
      [instanceOf({ alive: false, ageMs: 60_000, takenOver: ['mail.welcome'] }), instanceOf({ instance: 'b' })],
      false,
    ],
  ] as const)('knows %s', (_, instances, isCrashed) => {
    expect(crashed(...instances)).toBe(isCrashed)
  })

  it('knows no crash of a handler that was taken away', () => {
    const later = snapshotOf([instanceOf({ alive: false, ageMs: 5_000 })])
    expect(factsOf({ ...input(later, later), placed: new Set() }).handler[0]?.crashed).toBe(false)
  })

  it('scores latency against what is usual, and only with enough events', () => {
    let latencies: ReadonlyMap<string, readonly number[]> = new Map()
    const lookAt = (timesMs: readonly number[]) => {
      const later = snapshotOf([instanceOf({ handlers: [handlerOf({ timesMs })] })])
      const facts = factsOf({ ...input(snapshotOf([]), later), latencies })
      latencies = latenciesWith(latencies, facts.handler)
      return facts.handler[0]?.latencyScore
    }
    const usual = (ms: number) => Array.from({ length: 20 }, () => ms)
    for (let n = 0; n < 12; n++) expect(lookAt(usual(20 + (n % 3)))).toBeNull()
    expect(lookAt(usual(21))).toBeLessThan(2)
    expect(lookAt(usual(400))).toBeGreaterThan(6)
    const known = latencies.get('mail.welcome')?.length
    lookAt([5_000])
    expect(latencies.get('mail.welcome')?.length).toBe(known)
  })
})

it('a robust score is moved little by few outliers, and does not make an alarm of a trifle', () => {
  let baseline: readonly number[] = []
  for (let n = 0; n < 500; n++) baseline = withValue(baseline, n % 10 === 0 ? 5_000 : 100)
  expect(baseline.length).toBe(120)
  expect(median(baseline)).toBe(100)
  expect(robustScore(baseline, 104)).toBeLessThan(1)
  expect(robustScore(baseline, 300)).toBeGreaterThan(6)
})
