import { expect, it } from 'vitest'
import { createBreakerCount } from '../../src/handle/breaker-count.ts'

const policy = { subjects: 3, share: 0.5, windowMs: 1000, probeMs: 100 }

it('distinct subjects count, not attempts', () => {
  const count = createBreakerCount(policy)
  for (let n = 0; n < 100; n++) expect(count.failed('hot', n)).toBeUndefined()
  expect(count.failed('second', 100)).toBeUndefined()
  expect(count.failed('third', 101)).toEqual({ failing: 3, seen: 3 })
})

it('many that fail are no reason where more succeed', () => {
  const count = createBreakerCount(policy)
  count.failed('a', 0)
  for (let n = 0; n < 10; n++) count.succeeded(`good ${n}`, 1)
  expect(count.failed('b', 2)).toBeUndefined()
  expect(count.failed('c', 3)).toBeUndefined()
})

it('what is longer ago than the window, and what has succeeded since, does not count', () => {
  const count = createBreakerCount(policy)
  count.failed('a', 0)
  count.failed('b', 500)
  expect(count.failed('c', 1200)).toBeUndefined()
  count.succeeded('b', 1201)
  expect(count.failed('d', 1202)).toBeUndefined()
  expect(count.failed('e', 1203)).toEqual({ failing: 3, seen: 4 })
})

it('nothing is counted before something fails', () => {
  const count = createBreakerCount(policy)
  count.succeeded('good', 0)
  expect(count.isCounting).toBe(false)
  count.failed('a', 1)
  expect(count.isCounting).toBe(true)
  count.reset()
  expect(count.isCounting).toBe(false)
})
