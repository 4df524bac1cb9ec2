import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { PrivateServer } from '../setup/private-server.ts'
import { type ExitVerdict, exitingHandler } from './exiting.ts'
import {
  churn,
  cutConnections,
  idleElsewhere,
  killBridge,
  killPostgres,
  manyWriters,
  type Outcome,
  stopLeader,
  type Trouble,
} from './scenarios.ts'
import { startFaultServer, type World, withWorld } from './world.ts'

// Short forms; `npm run faults` runs each with many seeds and for longer.
const trouble = { seconds: 3 }
const timeout = 120_000

const kept = { lost: [], phantom: [], duplicated: [], reordered: [], sequencing: [], broken: [], dead: 0 }

function expectKept(outcome: Outcome): void {
  // Enough to tell; a busy machine writes little.
  expect(outcome.committed).toBeGreaterThan(20)
  expect(outcome).toMatchObject(kept)
}

describe('with real processes and an external ledger', () => {
  let server: PrivateServer
  beforeAll(async () => {
    server = await startFaultServer()
  })
  afterAll(() => server.stop())

  const run = <T>(seed: number, scenario: (world: World, trouble: Trouble) => Promise<T>) =>
    withWorld({ server, seed, subjects: 50 }, (world) => scenario(world, trouble))

  it.each([1, 2, 3])(
    'a bridge killed at random moments loses, invents, repeats and reorders nothing (seed %i)',
    async (seed) => {
      expectKept(await run(seed, killBridge))
    },
    timeout,
  )

  it(
    'sixteen writers with long transactions, rollbacks and savepoints lose, invent and reorder nothing',
    async () => {
      expectKept(await run(1, manyWriters))
    },
    timeout,
  )

  it(
    'a transaction that stays open in another database holds nothing up',
    async () => {
      const outcome = await run(2, idleElsewhere)
      expectKept(outcome)
      // Not a measurement: held up, it would be as long as the transaction stays open.
      expect(outcome.p99Ms).toBeLessThan(2_000)
    },
    timeout,
  )

  it(
    'a stopped leader is followed by a standby within seconds, and is fenced when it goes on',
    async () => {
      const outcome = await run(11, stopLeader)
      expectKept(outcome)
      expect(outcome).toMatchObject({ fenced: true })
      expect(outcome.takeoverMs).toBeLessThan(10_000)
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

  // In the middle of a batch: one worker's reaches over a few lanes, those of four over nearly all.
  it.each([
    [1, 80],
    [4, 50],
  ])(
    'a handler that ends the process becomes one dead letter after five attempts, and no bystander of its batch is tried more than three times (%i workers)',
    async (concurrency, dieAt) => {
      const options = { subjects: 24, events: 6, concurrency, dieAt }
      let verdict: ExitVerdict
      // How far the batch reaches that is under way then is the machine's choice.
      for (let round = 1; ; round++) {
        verdict = await withWorld({ server, seed: 51, subjects: 1 }, (world) => exitingHandler(world, options))
        if (verdict.lanesHit > 2 || round === 3) break
      }
      expect(verdict).toMatchObject({ deaths: 5, deadLetters: [{ guilty: true, attempts: 5 }] })
      expect(verdict).toMatchObject({ handledOnce: 143, reordered: [] })
      expect(verdict.mostTries).toBeLessThanOrEqual(3)
      // The batch was one of many subjects and lanes: otherwise nobody stood by.
      expect(verdict.subjectsHit).toBeGreaterThan(2)
      expect(verdict.lanesHit).toBeGreaterThan(2)
    },
    timeout,
  )
})
