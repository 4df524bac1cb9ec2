import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EventCondition } from '../../src/core/alerts/alert-rule.ts'
import { type EventPattern, resolveAlerts } from '../../src/core/alerts/resolve-alerts.ts'
import { createPatternWatch } from '../../src/watch/alerts/event-patterns.ts'

const patternOf = (when: EventCondition) =>
  resolveAlerts([{ name: 'rule', when }], 0).find(({ name }) => name === 'rule')?.when as EventPattern

/** Seconds and type, `b@7` for the correlation 7. */
function keysAfter(when: EventCondition, events: readonly (readonly [number, string])[], nowSeconds: number) {
  const pattern = patternOf(when)
  let watch = createPatternWatch(pattern)
  for (const [at, text] of events) {
    const [type = '', key = 'k'] = text.split('@')
    watch.see({ atMs: at * 1000, event: { id: text, type, correlationId: key, subject: key } })
    // As after a restart.
    watch = createPatternWatch(pattern, JSON.parse(JSON.stringify(watch.memory())))
  }
  watch.holding((events.at(-1)?.[0] ?? 0) * 1000)
  return watch.holding(nowSeconds * 1000).map(({ key }) => key)
}

describe('a pattern of events', () => {
  it('is told of a key that no index holds by a shorter name, one for each', () => {
    const long = 'u'.repeat(6_000)
    const keys = keysAfter(
      { count: 'login.failed', atLeast: 1, within: '10s', by: 'subject' },
      [
        [1, `login.failed@${long}a`],
        [1, `login.failed@${long}b`],
      ],
      1,
    )
    expect(new Set(keys).size).toBe(2)
    for (const key of keys) expect(Buffer.byteLength(key)).toBeLessThan(600)
  })

  const burst = { count: 'login.failed', atLeast: 3, within: '10s', by: 'subject' } as const
  const steps = {
    sequence: ['login.failed', 'password.changed', 'payment.made'],
    within: '10s',
    by: 'correlation',
  } as const
  const answer = { after: 'order.placed', missing: 'order.paid', within: '5s', by: 'correlation' } as const
  it.each([
    [
      'counts',
      burst,
      [
        [1, 'login.failed'],
        [2, 'login.failed'],
        [3, 'login.failed'],
      ],
      4,
      ['k'],
    ],
    [
      'counts no other type',
      burst,
      [
        [1, 'login.failed'],
        [2, 'login.done'],
        [3, 'login.failed'],
      ],
      4,
      [],
    ],
    [
      'counts each subject on its own',
      burst,
      [
        [1, 'login.failed@a'],
        [2, 'login.failed@b'],
        [3, 'login.failed@a'],
      ],
      4,
      [],
    ],
    [
      'forgets what is past its window',
      burst,
      [
        [1, 'login.failed'],
        [2, 'login.failed'],
        [13, 'login.failed'],
      ],
      13,
      [],
    ],
    [
      'ends when the window has passed',
      burst,
      [
        [1, 'login.failed'],
        [2, 'login.failed'],
        [3, 'login.failed'],
      ],
      14,
      [],
    ],
    [
      'sees a sequence',
      steps,
      [
        [1, 'login.failed'],
        [2, 'x.y'],
        [3, 'password.changed'],
        [4, 'payment.made'],
      ],
      5,
      ['k'],
    ],
    [
      'sees none in another order',
      steps,
      [
        [1, 'payment.made'],
        [2, 'password.changed'],
        [3, 'login.failed'],
      ],
      5,
      [],
    ],
    [
      'sees none of several correlations',
      steps,
      [
        [1, 'login.failed@a'],
        [2, 'password.changed@b'],
        [3, 'payment.made@a'],
      ],
      5,
      [],
    ],
    [
      'sees none that takes too long',
      steps,
      [
        [1, 'login.failed'],
        [2, 'password.changed'],
        [12, 'payment.made'],
      ],
      12,
      [],
    ],
    [
      'begins again with a later first step',
      steps,
      [
        [1, 'login.failed'],
        [9, 'login.failed'],
        [12, 'password.changed'],
        [13, 'payment.made'],
      ],
      13,
      ['k'],
    ],
    [
      'misses what did not follow',
      answer,
      [
        [1, 'order.placed@a'],
        [2, 'order.placed@b'],
        [3, 'order.paid@b'],
      ],
      7,
      ['a'],
    ],
    ['waits for it first', answer, [[1, 'order.placed@a']], 5, []],
    [
      'ends when it comes after all',
      answer,
      [
        [1, 'order.placed@a'],
        [9, 'order.paid@a'],
      ],
      10,
      [],
    ],
  ] as const)('%s', (_, when, events, now, keys) => {
    expect(keysAfter(when, events, now)).toEqual(keys)
  })

  it('looks into events with an expression', () => {
    const pattern = patternOf({ count: { type: 'order.*', where: 'data.total > 100' }, atLeast: 1, within: '1m' })
    const watch = createPatternWatch(pattern)
    const see = (total: number) => {
      const event = { id: '1', type: 'order.placed', data: { total } }
      watch.see({ atMs: 0, event })
      return watch.holding(1).length
    }
    expect([see(5), see(500)]).toEqual([0, 1])
  })

  it.each([
    ['a burst', burst, ['login.failed', 'login.failed', 'login.failed']],
    ['a sequence', steps, ['login.failed', 'password.changed', 'payment.made', 'login.failed']],
  ] as const)('tells once of %s that came and went before anybody looked', (_, when, types) => {
    const watch = createPatternWatch(patternOf(when))
    for (const type of types) watch.see({ atMs: 1_000, event: { id: '1', type, subject: 'k', correlationId: 'k' } })
    watch.see({ atMs: 50_000, event: { id: '2', type: 'login.failed', subject: 'k', correlationId: 'k' } })
    expect(watch.holding(60_000).map(({ key }) => key)).toEqual(['k'])
    expect(watch.holding(60_000)).toEqual([])
  })

  const login = (n: number, atMs: number) => ({ atMs, event: { id: `${n}`, type: 'login.failed', subject: `s${n}` } })

  it('remembers a bounded number of keys, and of each a bounded number of times', () => {
    const many = createPatternWatch(patternOf({ ...burst, atLeast: 1 }))
    for (let n = 0; n < 50; n++) many.see(login(n, 1))
    many.keep(many.holding(1).map(({ key }) => key))
    for (let n = 50; n < 20_050; n++) many.see(login(n, 2))
    expect(Object.keys(many.memory()).length).toBe(2_000)
    // Who was told that one fires is not told that it is over because others came.
    expect(many.holding(3).filter(({ key }) => Number(key.slice(1)) < 50).length).toBe(50)
    expect([many.takeForgotten(), many.takeForgotten()]).toEqual([18_050, 0])

    const often = createPatternWatch(patternOf({ ...burst, atLeast: 10_000, within: '1h' }))
    const lookAfter = (from: number, to: number) => {
      for (let n = from; n < to; n++) often.see(login(1, n * 300))
      return often.holding(to * 300).length
    }
    expect(lookAfter(0, 9_999)).toBe(0)
    expect(lookAfter(9_999, 10_000)).toBe(1)
    expect(JSON.stringify(often.memory()).length).toBeLessThan(3_000)
    lookAfter(10_000, 100_000)
    expect(JSON.stringify(often.memory()).length).toBeLessThan(3_000)
  })

  it('counts as one who looks at all of the events, in whatever order they were committed', () => {
    const times = fc.array(fc.integer({ min: 0, max: 60_000 }), { minLength: 1, maxLength: 40 })
    fc.assert(
      fc.property(times, fc.integer({ min: 1, max: 5 }), (atMs, atLeast) => {
        const watch = createPatternWatch(patternOf({ ...burst, atLeast }))
        let expected = false
        for (const [n, at] of atMs.entries()) {
          watch.see(login(1, at))
          const newest = Math.max(...atMs.slice(0, n + 1))
          const lately = atMs.slice(0, n + 1).filter((one) => newest - one <= 10_000)
          expected ||= lately.length >= atLeast
        }
        expect(watch.holding(200_000).length).toBe(expected ? 1 : 0)
      }),
    )
  })
})
