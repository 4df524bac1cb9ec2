import { expect, it } from 'vitest'
import { createLiveness } from '../../src/transports/postgres/liveness.ts'

const member = (session: string, beats: number, unlocked = false) => ({
  session,
  beats: `${beats}`,
  groups: [],
  unlocked,
})

it('takes a member whose lock is gone for dead at the second beat, not at the first: it may be reconnecting', () => {
  const liveness = createLiveness()
  expect(liveness.judge([member('1', 5, true)], '9', 0)).toEqual([])
  expect(liveness.judge([member('1', 5, true)], '9', 500)).toHaveLength(1)
})

it('forgets a missing lock when it is back', () => {
  const liveness = createLiveness()
  for (let i = 0; i < 20; i++) expect(liveness.judge([member('1', i, i % 2 === 0)], '9', i * 500)).toEqual([])
})

it('takes a member that stopped beating for dead after seconds, by this clock alone', () => {
  const liveness = createLiveness()
  const judged = Array.from({ length: 14 }, (_, i) => liveness.judge([member('1', 7)], '9', i * 500).length)
  expect(judged.indexOf(1)).toBe(10)
})

it('takes nobody for dead because this process or the server stood still', () => {
  const liveness = createLiveness()
  liveness.judge([member('1', 7)], '9', 0)
  expect(liveness.judge([member('1', 7)], '9', 60_000)).toEqual([])
  expect(liveness.judge([member('1', 8)], '9', 60_500)).toEqual([])
})

it('never judges itself', () => {
  const liveness = createLiveness()
  for (let i = 0; i < 30; i++) expect(liveness.judge([member('1', 7, true)], '1', i * 1_000)).toEqual([])
})
