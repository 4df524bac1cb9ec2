import { expect, it } from 'vitest'
import type { AlertRule } from '../../src/core/alerts/alert-rule.ts'
import { resolveAlerts } from '../../src/core/alerts/resolve-alerts.ts'

it('has built-in alerts, which rules of their names tune or switch off', () => {
  const names = resolveAlerts([], 0).map(({ name }) => name)
  expect(names).toEqual([
    'failed-above-threshold',
    'latency-spike',
    'missing-expected-event',
    'generation-stopped',
    'handler-crashed',
    'handler-failing',
    'handler-stuck',
    'breaker-open',
    'sink-waits',
    'saga-stuck',
    'dead-letters-grow',
    'id-conflict',
  ])
  const tuned = resolveAlerts(
    [
      { name: 'latency-spike', off: true },
      { name: 'dead-letters-grow', severity: 'critical', for: '1m', to: ['log', 'event'] },
    ],
    0,
  )
  expect(tuned.map(({ name }) => name)).toEqual(names.filter((name) => name !== 'latency-spike'))
  expect(tuned.find(({ name }) => name === 'dead-letters-grow')).toMatchObject({
    severity: 'critical',
    forMs: 60_000,
    text: 'handler.deadPerMinute > 0',
    to: ['log', 'event'],
  })
  // An event in the log is for whoever asks for it.
  expect(tuned.find(({ name }) => name === 'handler-crashed')).toMatchObject({ to: ['log'] })
})

const bad: readonly (readonly [string, AlertRule, RegExp])[] = [
  ['a name that is none', { name: 'No Name', when: 'dead.open > 0' }, /alert No Name: its name is lower-case/],
  ['no condition', { name: 'latency-spik' }, /its when is missing; did you mean.*latency-spike/],
  ['an expression that does not parse', { name: 'a', when: 'dead.open >' }, /alert a: its when is wrong/],
  ['a fact that is not measured', { name: 'a', when: 'handler.failedPerMinut > 1' }, /handler\.failedPerMinute/],
  ['a root that is not measured', { name: 'a', when: 'handlers.failed > 1' }, /there is no handlers/],
  ['nothing measured', { name: 'a', when: 'true' }, /looks at nothing that is measured/],
  ['two things one by one', { name: 'a', when: 'handler.lagEvents > 1 and sink.lagEvents > 1' }, /write two rules/],
  ['a time that is none', { name: 'a', when: 'dead.open > 0', for: 'soon' }, /its for is wrong/],
  ['a target that is none', { name: 'a', when: 'dead.open > 0', to: ['mail:me'] }, /its to has "mail:me"/],
  [
    'a severity that is none',
    { name: 'a', when: 'dead.open > 0', severity: 'bad' as 'info' },
    /its severity is none of/,
  ],
  ['a count without a time', { name: 'a', when: { count: 'x.y', atLeast: 3 } as never }, /its when.within is missing/],
  [
    'a count of nothing',
    { name: 'a', when: { count: 'x.y', atLeast: 0, within: '1m' } },
    /its when.atLeast is no whole/,
  ],
  ['a sequence of one', { name: 'a', when: { sequence: ['x.y'], within: '1m' } }, /fewer than two steps/],
  [
    'a pattern that is none',
    { name: 'a', when: { count: 'x..y', atLeast: 3, within: '1m' } },
    /its when.count is wrong/,
  ],
  [
    'a field that no event has',
    { name: 'a', when: { count: { type: 'x.y', where: 'dta.n > 1' }, atLeast: 3, within: '1m' } },
    /its when.count.where is wrong: .*\n?[\s\S]*data/,
  ],
  [
    'a grouping that is none',
    { name: 'a', when: { count: 'x.y', atLeast: 3, within: '1m', by: 'me' as 'all' } },
    /when.by is none/,
  ],
  ['an expectation by subject', { name: 'a', when: { missing: 'x.y', within: '1m', by: 'subject' } }, /needs `after`/],
  ['none of the patterns', { name: 'a', when: {} as never }, /its when/],
]
it.each(bad)('refuses %s, naming rule and field', (_, rule, says) => {
  expect(() => resolveAlerts([rule], 0)).toThrow(says)
  try {
    resolveAlerts([rule], 0)
  } catch (error) {
    expect(error).toMatchObject({ code: 'config', hint: expect.any(String) })
  }
})

it('refuses two rules of one name', () => {
  const rule = { name: 'a', when: 'dead.open > 0' }
  expect(() => resolveAlerts([rule, rule], 0)).toThrow('two rules')
})
