import fc from 'fast-check'
import { expect, it } from 'vitest'
import { fairShare } from '../../src/transports/share.ts'

it('shares out every lane, and no two members differ by more than one', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 256 }),
      fc.integer({ min: 1, max: 40 }),
      fc.nat(255),
      (lanes, count, turn) => {
        const members = Array.from({ length: count }, (_, i) => `m${i}`)
        const shares = members.map((member) => fairShare(lanes, members, member, turn))
        expect(shares.reduce((sum, share) => sum + share, 0)).toBe(lanes)
        expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1)
      },
    ),
  )
})

it('gives nothing to somebody who is no member', () => {
  expect(fairShare(16, ['a', 'b'], 'c', 0)).toBe(0)
})

it('gives the odd lane of different groups to different members', () => {
  const members = ['a', 'b', 'c']
  const shares = [0, 1, 2].map((turn) => members.map((member) => fairShare(1, members, member, turn)).join())
  expect(new Set(shares).size).toBe(3)
})
