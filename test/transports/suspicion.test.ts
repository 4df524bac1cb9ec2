import { describe, expect, it } from 'vitest'
import { afterDeath, deliveriesOf, noSuspicion, readyOf } from '../../src/transports/suspicion.ts'

it('suspects everything that a dead owner had in hand, once', () => {
  const suspicion = afterDeath(noSuspicion, 10n, 14n)
  expect([11n, 14n, 15n].map((position) => deliveriesOf(suspicion, position))).toEqual([2, 2, 1])
})

it('suspects nothing when the owner had nothing in hand', () => {
  expect(afterDeath(noSuspicion, 10n, 10n)).toEqual(noSuspicion)
})

it('counts every further death against the one that was out alone, and no bystander', () => {
  let suspicion = afterDeath(noSuspicion, 10n, 14n)
  for (let death = 2; death <= 4; death++) {
    suspicion = afterDeath(suspicion, 11n, 12n)
    expect([12n, 13n, 14n].map((position) => deliveriesOf(suspicion, position))).toEqual([death + 1, 2, 2])
  }
  const other = afterDeath(suspicion, 12n, 13n)
  expect([13n, 14n].map((position) => deliveriesOf(other, position))).toEqual([3, 2])
})

it('lets those come alone that were out together when a second owner died, and no others', () => {
  const one = afterDeath(noSuspicion, 10n, 20n)
  const two = afterDeath(one, 10n, 13n)
  const three = afterDeath(two, 10n, 11n)
  for (const suspicion of [two, three])
    expect([11n, 12n, 13n, 14n, 20n, 21n].map((position) => deliveriesOf(suspicion, position) > 2)).toEqual([
      ...[true, true, true],
      ...[false, false, false],
    ])
  expect([14n, 20n, 21n].map((position) => deliveriesOf(three, position))).toEqual([2, 2, 1])
})

describe('of the queue of a lane', () => {
  const suspicion = { suspectTo: 16n, guilty: 12n, deaths: 2 }
  const ready = (next: bigint, out: readonly bigint[], together: number) =>
    readyOf(suspicion, {
      queue: Array.from({ length: 8 }, (_, n) => next + BigInt(n)),
      positionOf: (position) => position,
      unsettled: out.length,
      first: out[0],
      room: 6 - out.length,
      together,
    })

  it.each([
    ['one alone', 11n, [], 4, 1],
    ['nothing behind one that is out alone', 12n, [11n], 4, 0],
    ['suspects not behind one that is out alone', 13n, [12n], 4, 0],
    ['a few suspects together, and nothing else with them', 14n, [], 4, 3],
    ['no more suspects than are allowed', 13n, [], 3, 3],
    ['as many more as are settled', 14n, [13n], 3, 2],
    ['each suspect alone where that is asked', 13n, [], 1, 1],
    ['no other behind a suspect', 17n, [16n], 4, 0],
    ['all the others, as far as there is room', 17n, [], 4, 6],
    ['others behind others', 18n, [17n], 4, 5],
  ] as const)('hands out %s', (_, next, out, together, count) => {
    expect(ready(next, out, together)).toBe(count)
  })
})
