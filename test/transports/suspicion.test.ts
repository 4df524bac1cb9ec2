import { expect, it } from 'vitest'
import { afterDeath, deliveriesOf, noSuspicion } from '../../src/transports/suspicion.ts'

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
