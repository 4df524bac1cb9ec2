import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type BackoffPolicy, backoffBoundMs, backoffMs } from '../../src/core/backoff.ts'

const policy: BackoffPolicy = { backoff: 'exponential', initialMs: 1000, maxMs: 10_000 }
const almostOne = 1 - Number.EPSILON / 2

test('the bound doubles with each attempt up to the longest delay, or stays when fixed', () => {
  expect([1, 2, 3, 4, 5, 5000].map((attempt) => backoffBoundMs(policy, attempt))).toEqual([
    1000, 2000, 4000, 8000, 10_000, 10_000,
  ])
  expect([1, 2, 9].map((attempt) => backoffBoundMs({ ...policy, backoff: 'fixed' }, attempt))).toEqual([
    1000, 1000, 1000,
  ])
})

test('the delay is drawn from zero to the bound, both included', () => {
  expect(backoffMs(policy, 2, 0)).toBe(0)
  expect(backoffMs(policy, 2, 0.5)).toBe(1000)
  expect(backoffMs(policy, 2, almostOne)).toBe(2000)
})

test('is a whole number between zero and the longest delay for any policy', () => {
  const policies = fc.record({
    backoff: fc.constantFrom('exponential' as const, 'fixed' as const),
    initialMs: fc.nat(1e9),
    maxMs: fc.nat(1e9),
  })
  fc.assert(
    fc.property(policies, fc.nat(1e6), fc.double({ min: 0, max: almostOne, noNaN: true }), (any, attempt, random) => {
      const delay = backoffMs(any, attempt, random)
      return Number.isInteger(delay) && delay >= 0 && delay <= any.maxMs
    }),
  )
})
