import { expect, it } from 'vitest'
import { brokenDownstream, mailer } from './downstream.ts'
import { startFaultServer, withWorld } from './world.ts'

const kept = { lost: [], phantom: [], duplicated: [], reordered: [], sequencing: [] }

// `npm run faults -- --only broken-downstream` leaves it broken for a minute, and looks at the times.
it('two bridges whose downstream is gone pause, spend no event on it, and go on when it is back; a hot poison subject stops nobody', async () => {
  await using server = await startFaultServer()
  const options = { server, seed: 61, subjects: 50, handlers: [mailer] }
  const outcome = await withWorld(options, (world) => brokenDownstream(world, { seconds: 1 }))
  expect(outcome).toMatchObject({ ...kept, dead: 0, trips: 1, poisonTrips: 0, poisonDead: 35 })
  expect([outcome.pausedMs, outcome.resumedMs].every(Number.isFinite)).toBe(true)
}, 120_000)
