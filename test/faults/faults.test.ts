import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PrivateServer, startPrivateServer } from '../setup/private-server.ts'
import type { Verdict } from './ledger.ts'
import {
  churn,
  cutConnections,
  exitingHandler,
  killBridge,
  killPostgres,
  stopLeader,
  type Trouble,
} from './scenarios.ts'
import { type World, withWorld } from './world.ts'

// Short forms; `npm run faults` runs each with many seeds and for longer.
const trouble = { seconds: 4 }
const timeout = 120_000

function expectKept(verdict: Verdict): void {
  expect(verdict.committed).toBeGreaterThan(100)
  expect(verdict).toMatchObject({ lost: [], phantom: [], duplicated: [], reordered: [], dead: 0 })
}

describe('with real processes and an external ledger', () => {
  let server: PrivateServer
  beforeAll(async () => {
    server = await startPrivateServer({ version: 18 })
  })
  afterAll(() => server.stop())

  const run = <T>(seed: number, scenario: (world: World, trouble: Trouble) => Promise<T>) =>
    withWorld({ server, seed, subjects: 50 }, (world) => scenario(world, trouble))

  it.each([1, 2, 3, 4, 5])(
    'a bridge killed at random moments loses, invents, repeats and reorders nothing (seed %i)',
    async (seed) => {
      expectKept(await run(seed, killBridge))
    },
    timeout,
  )

  it(
    'a stopped leader is followed by a standby within seconds, and is fenced when it goes on',
    async () => {
      const verdict = await run(11, stopLeader)
      expectKept(verdict)
      expect(verdict.takeoverMs).toBeLessThan(10_000)
    },
    timeout,
  )

  it(
    'cut connections lose, invent, repeat and reorder nothing',
    async () => {
      expectKept(await run(21, cutConnections))
    },
    timeout,
  )

  it(
    'a killed PostgreSQL loses, invents, repeats and reorders nothing',
    async () => {
      expectKept(await run(31, killPostgres))
    },
    timeout,
  )

  it(
    'bridges that come and go keep the order of every subject',
    async () => {
      expectKept(await run(41, churn))
    },
    timeout,
  )

  it(
    'a handler that ends the process becomes one dead letter, and no bystander is tried more than twice',
    async () => {
      const verdict = await withWorld({ server, seed: 51, subjects: 1 }, (world) => exitingHandler(world, 60))
      expect(verdict).toMatchObject({ deadLetters: 1, attemptsOfGuilty: 5, bystandersHandled: 59 })
      expect(verdict.mostAttemptsOfBystander).toBeLessThanOrEqual(2)
    },
    timeout,
  )
})
