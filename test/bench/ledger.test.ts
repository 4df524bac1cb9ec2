import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { imbalances, isBroken, type Ledger } from '../../src/bench/ledger.ts'

const count = fc.nat(1_000)
/** Books of a run in which every event was put into exactly one place. */
const balanced: fc.Arbitrary<Ledger> = fc
  .record({
    unsent: count,
    rejected: count,
    unknown: count,
    subscribers: fc.integer({ min: 1, max: 4 }),
    handled: count,
    retriedOpen: count,
    deadLettered: count,
    lost: count,
    unlocated: count,
    accepted: count,
    duplicates: count,
    reordered: count,
  })
  .filter((b) => b.handled + b.retriedOpen + b.deadLettered + b.lost + b.unlocated <= b.accepted * b.subscribers)
  .map((b) => {
    const sent = b.accepted + b.rejected + b.unknown
    const stillOpen = b.accepted * b.subscribers - b.handled - b.retriedOpen - b.deadLettered - b.lost - b.unlocated
    return { ...b, sent, scheduled: sent + b.unsent, stillOpen }
  })

describe('the books', () => {
  test('balance when every event is in exactly one place', () => {
    fc.assert(
      fc.property(balanced, (ledger) => {
        expect(imbalances(ledger)).toEqual([])
      }),
    )
  })

  test.each([
    'scheduled',
    'sent',
    'unsent',
    'accepted',
    'rejected',
    'unknown',
    'handled',
    'retriedOpen',
    'deadLettered',
    'lost',
    'stillOpen',
    'unlocated',
  ] as const)('do not balance when %s is off by one', (field) => {
    fc.assert(
      fc.property(balanced, fc.constantFrom(-1, 1), (ledger, by) => {
        expect(imbalances({ ...ledger, [field]: ledger[field] + by })).not.toEqual([])
      }),
    )
  })

  test('say both sides of what does not add up', () => {
    const ledger = { scheduled: 10, sent: 9, unsent: 0, accepted: 9, rejected: 0, unknown: 0, subscribers: 2 }
    const none = { duplicates: 0, reordered: 0 }
    const rest = { handled: 17, retriedOpen: 0, deadLettered: 0, lost: 0, stillOpen: 0, unlocated: 0, ...none }
    expect(imbalances({ ...ledger, ...rest })).toEqual([
      'scheduled 10 ≠ sent 9 + unsent 0',
      'accepted 9 × 2 = 18 ≠ handled 17 + retrying 0 + dead 0 + lost 0 + open 0 + unlocated 0 = 17',
    ])
  })

  test.each([
    [{}, false],
    [{ lost: 1 }, true],
    [{ duplicates: 1 }, true],
    [{ reordered: 1 }, true],
  ])('with %j are broken: %s', (change, expected) => {
    expect(isBroken({ lost: 0, duplicates: 0, reordered: 0, ...change } as Ledger)).toBe(expected)
  })
})
