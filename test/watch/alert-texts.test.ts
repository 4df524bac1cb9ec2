import { expect, it } from 'vitest'
import { resolveAlerts } from '../../src/core/alerts/resolve-alerts.ts'
import type { AlertRow } from '../../src/store/alerts.ts'
import type { MeasuredFacts } from '../../src/watch/alerts/facts.ts'
import { measuredActive } from '../../src/watch/alerts/measured.ts'
import { transitionsOf } from '../../src/watch/alerts/transitions.ts'

const nothing = { handler: [], sink: [], saga: [], bridge: [], dead: { open: 0 } }
const calm: MeasuredFacts = {
  ...nothing,
  store: { outboxPending: 0, oldestPendingMs: 0, led: true, horizonAgeMs: 0, notifyQueue: 0 },
  events: { perMinute: 0, usualPerMinute: 127.5, refusedPerMinute: 0 },
}

function says(name: string, facts: MeasuredFacts): unknown {
  const when = resolveAlerts([], 0).find((rule) => rule.name === name)?.when
  if (when?.kind !== 'metric') throw new Error(`${name} looks at nothing that is measured`)
  return [...measuredActive(when, facts).values()]
}

it('an alert says all that made it fire, with units, and nothing that did not', () => {
  expect(says('generation-stopped', calm)).toEqual([
    { value: 127.5, says: 'events.usualPerMinute is 127.5, events.perMinute is 0' },
  ])
  const waiting = {
    ...calm,
    store: { ...calm.store, oldestPendingMs: 20_113.4 },
    events: { ...calm.events, perMinute: 9, usualPerMinute: 9 },
  }
  expect(says('generation-stopped', waiting)).toEqual([{ value: 20_113.4, says: 'store.oldestPendingMs is 20,113 ms' }])
  const handler = { name: 'mail.welcome', latencyScore: 58.063, p95Ms: 1203.4, handledPerMinute: 40 }
  expect(says('latency-spike', { ...calm, handler: [handler] })).toEqual([
    {
      value: 58.063,
      says: 'handler.latencyScore is 58.06, handler.p95Ms is 1,203 ms, handler.handledPerMinute is 40',
    },
  ])
})

it('an alert that is over repeats no value as if it still held', () => {
  const [rule] = resolveAlerts([], 0)
  if (!rule) throw new Error('there are built-in rules')
  const row: AlertRow = {
    ...{ alert: rule.name, key: 'mail.welcome', severity: 'warning', value: 4, says: 'handler.deadPerMinute is 4' },
    ...{ sinceMs: 0, firedMs: 0, resolvedMs: null, toldMs: 0 },
    state: 'firing',
  }
  const { put, told } = transitionsOf({ rule, rows: [row], active: new Map(), isSure: true, nowMs: 90_000 })
  expect(put).toMatchObject([{ state: 'resolved', value: 4, says: row.says }])
  expect(told).toMatchObject([
    { kind: 'resolved', row: { value: null, says: 'over after 1m30s; it was: handler.deadPerMinute is 4' } },
  ])
})
