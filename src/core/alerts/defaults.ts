import type { AlertRule } from './alert-rule.ts'

/** What fires without a configuration; each may be tuned or switched off by its name. */
export const defaultAlerts: readonly (AlertRule & Required<Pick<AlertRule, 'when'>>)[] = [
  {
    name: 'failed-above-threshold',
    when: 'handler.failedPerMinute >= 10 and handler.errorRate > 0.05',
  },
  {
    name: 'latency-spike',
    when: 'handler.latencyScore > 6 and handler.p95Ms > 100 and handler.handledPerMinute >= 10',
    for: '15s',
  },
  { name: 'missing-expected-event', when: { missing: '*' } },
  {
    name: 'generation-stopped',
    when: '(events.usualPerMinute >= 30 and events.perMinute == 0) or store.oldestPendingMs > 15000',
    severity: 'critical',
  },
  // Once for the bridge, not for each of its handlers; who only could not speak for a moment has not crashed.
  { name: 'handler-crashed', when: 'bridge.crashed', for: '5s', severity: 'critical' },
  { name: 'handler-failing', when: "handler.health == 'failing'", severity: 'critical' },
  { name: 'handler-stuck', when: 'handler.stuckMs >= 30000', severity: 'critical' },
  { name: 'breaker-open', when: 'handler.broken', severity: 'critical' },
  { name: 'sink-waits', when: 'sink.waiting', for: '30s' },
  { name: 'saga-stuck', when: 'saga.stuck > 0', severity: 'critical' },
  { name: 'dead-letters-grow', when: 'handler.deadPerMinute > 0' },
  { name: 'id-conflict', when: 'events.refusedPerMinute > 0' },
]
