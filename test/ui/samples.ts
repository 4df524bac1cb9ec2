import { createHistogram } from '../../src/core/histogram.ts'
import type { HandlerSample, InstanceSample, Snapshot } from '../../src/watch/snapshot.ts'

/** An encoded histogram of the given milliseconds. */
export function times(...milliseconds: readonly number[]): string {
  const histogram = createHistogram()
  for (const ms of milliseconds) histogram.record(ms * 1000)
  return histogram.encode()
}

export function handlerSample(over: Partial<HandlerSample> = {}): HandlerSample {
  return {
    handler: 'icons.usage',
    group: 'icons',
    priority: 'normal',
    concurrency: 4,
    handled: 0,
    failed: 0,
    retried: 0,
    dead: 0,
    skipped: 0,
    inFlight: 0,
    queued: 0,
    paused: false,
    health: 'healthy',
    runTime: times(),
    endToEnd: times(),
    ...over,
  }
}

export function instanceSample(over: Partial<InstanceSample> = {}): InstanceSample {
  return {
    instance: 'demo-1',
    host: 'localhost',
    pid: 42,
    version: '0.1.0',
    roles: ['relay', 'handlers'],
    leader: true,
    startedAt: '2026-11-21T08:00:00.000Z',
    ageMs: 120,
    alive: true,
    handlers: [],
    stages: { relay: times(), deliver: times(), queue: times(), handle: times() },
    sequenced: 0,
    rssBytes: 90_000_000,
    cpu: 0.03,
    ...over,
  }
}

export function snapshotAt(second: number, over: Partial<Snapshot> = {}): Snapshot {
  return {
    takenAt: new Date(Date.UTC(2026, 10, 21, 8, 0, second)).toISOString(),
    clockMs: second * 1000,
    store: { host: 'localhost:5433', database: 'evt', serverVersion: '18.4' },
    head: { position: '1200', outboxPending: 0, oldestPendingMs: null },
    instances: [instanceSample()],
    backlog: [],
    stopped: [],
    dead: { open: 0, causes: [] },
    ...over,
  }
}
