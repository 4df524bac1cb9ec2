import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EvtError } from '../../src/core/errors.ts'
import { classify } from '../../src/handle/classify.ts'
import { factsOf } from '../../src/handle/failure.ts'
import { createHealthJudge } from '../../src/handle/health.ts'
import { dayOf } from '../../src/store/inbox.ts'

describe('what was thrown', () => {
  it('is described in bounded, storable text whatever it is', () => {
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withDate: true, withMap: true, withSymbol: true } as never),
        (thrown) => {
          const facts = factsOf(thrown)
          expect(facts.message.length).toBeLessThan(3000)
          expect(`${facts.message}${facts.class}`).not.toContain('\u0000')
          expect(facts.message.isWellFormed()).toBe(true)
        },
      ),
    )
  })

  it('is judged by class, ancestors and codes', () => {
    class Invalid extends Error {}
    class VeryInvalid extends Invalid {}
    const judge = (thrown: unknown, extra: readonly string[] = []) => classify(thrown, factsOf(thrown), new Set(extra))
    expect(judge(new Error('x'))).toBe('retryable')
    expect(judge(new VeryInvalid('x'), ['Invalid'])).toBe('hopeless')
    expect(judge(Object.assign(new Error('x'), { code: 'E1' }), ['E1'])).toBe('hopeless')
    expect(judge(new EvtError('contract', 'x'))).toBe('hopeless')
    expect(judge(Object.assign(new Error('x'), { code: '40001' }))).toBe('transient')
    expect(judge(Object.assign(new Error('x'), { code: '40P01' }))).toBe('transient')
    expect(judge(undefined, ['Invalid'])).toBe('retryable')
  })
})

describe('the health of a handler', () => {
  it('follows its recent outcomes and recovers by successes and by time', () => {
    const judge = createHealthJudge()
    expect(judge.outcomes(100, 0, 0)).toBe('healthy')
    expect(judge.outcomes(0, 20, 10)).toBe('degraded')
    expect(judge.outcomes(0, 200, 20)).toBe('failing')
    expect(judge.outcomes(3000, 0, 30)).toBe('healthy')
    expect(judge.outcomes(0, 5000, 40)).toBe('failing')
    expect(judge.outcomes(0, 0, 3_600_000)).toBe('healthy')
  })
})

describe('the day of an inbox row', () => {
  it.each([
    ['2026-11-21T10:00:00.000Z', '2026-11-21'],
    ['2026-02-30T10:00:00.000Z', '2026-03-02'],
    ['2026-11-21T23:30:00.000-02:00', '2026-11-22'],
    ['0001-01-01T00:00:00Z', '1970-01-01'],
    ['nonsense', '1970-01-01'],
  ])('of %s is %s', (time, day) => {
    expect(dayOf(time)).toBe(day)
  })
})
