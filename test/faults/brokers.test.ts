import { afterAll, beforeAll, expect, it } from 'vitest'
import { startPrivateKafka } from '../setup/private-kafka.ts'
import type { PrivateBroker } from '../setup/private-process.ts'
import { startPrivateRabbit } from '../setup/private-rabbitmq.ts'
import { startPrivateRedis } from '../setup/private-redis.ts'
import type { PrivateServer } from '../setup/private-server.ts'
import { startPrivateRedisPair } from '../setup/redis-pair.ts'
import { describeWithOwn } from '../setup/shared-servers.ts'
import { cutRedis, failOverRedis, flushRedis } from './redis-scenarios.ts'
import { churn, killBroker, type Outcome, type Trouble } from './scenarios.ts'
import { startFaultServer, type World, type WorldOptions, withWorld } from './world.ts'

// Short forms, with a broker between the store and the handlers; `npm run faults` runs each for longer.
const timeout = 180_000

const kept = { lost: [], phantom: [], duplicated: [], reordered: [], sequencing: [], broken: [], dead: 0 }

function expectKept(outcome: Outcome): void {
  expect(outcome.committed).toBeGreaterThan(100)
  expect(outcome).toMatchObject(kept)
}

const start = { redis: startPrivateRedis, kafka: startPrivateKafka, rabbitmq: startPrivateRabbit } as const
type Scenario = (world: World, trouble: Trouble) => Promise<Outcome>

for (const name of ['redis', 'kafka', 'rabbitmq'] as const) {
  describeWithOwn(name, 'a broker between the store and the handlers', () => {
    let server: PrivateServer
    let broker: PrivateBroker
    beforeAll(async () => {
      server = await startFaultServer()
      broker = await start[name]()
    })
    afterAll(() => Promise.all([server?.stop(), broker?.stop()]))

    const holds = (title: string, scenario: Scenario, options: Partial<WorldOptions> = {}) =>
      it(
        title,
        async () => {
          const run = (world: World) => scenario(world, { seconds: 4 })
          expectKept(await withWorld({ server, seed: 61, subjects: 50, broker, ...options }, run))
        },
        timeout,
      )

    holds('may be killed: nothing is lost, invented, repeated or reordered', killBroker)
    holds('keeps the order of every subject while bridges come and go', churn)
    if (name !== 'redis') return
    const retained = { sinkQuery: '?retain=1g' }
    holds('may forget everything: nothing is lost, repeated or reordered', flushRedis)
    holds('may lose its last writes with the power: they are appended again', cutRedis, retained)
    it(
      'may fail over to a replica that is behind: what it lacks is appended again',
      failOver(() => server),
      timeout,
    )
  })
}

const failOver = (serverOf: () => PrivateServer) => async () => {
  await using broker = await startPrivateRedisPair()
  const run = (world: World) => failOverRedis(world, { seconds: 3 })
  const options = { server: serverOf(), seed: 61, subjects: 50, broker, sinkQuery: '?retain=1g' }
  expectKept(await withWorld(options, run))
}
