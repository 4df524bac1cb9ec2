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
  // Enough to tell; a busy machine writes little.
  expect(outcome.committed).toBeGreaterThan(20)
  expect(outcome).toMatchObject(kept)
}

let server: PrivateServer
beforeAll(async () => {
  server = await startFaultServer()
})
afterAll(() => server?.stop())

const start = { redis: startPrivateRedis, kafka: startPrivateKafka, rabbitmq: startPrivateRabbit } as const
/** Kafka keeps the lanes of who was killed for a session: six seconds by default. */
const sinkQueries = { redis: '', kafka: '?session=2s', rabbitmq: '' } as const
type Scenario = (world: World, trouble: Trouble) => Promise<Outcome>

for (const name of ['redis', 'kafka', 'rabbitmq'] as const) {
  describeWithOwn(name, 'a broker between the store and the handlers', () => {
    let broker: PrivateBroker
    beforeAll(async () => {
      broker = await start[name]()
    })
    afterAll(() => broker?.stop())

    const holds = (title: string, scenario: Scenario, options: Partial<WorldOptions> = {}) =>
      it(
        title,
        async () => {
          const run = (world: World) => scenario(world, { seconds: 3 })
          const sinkQuery = sinkQueries[name]
          expectKept(await withWorld({ server, seed: 61, subjects: 50, broker, sinkQuery, ...options }, run))
        },
        timeout,
      )

    holds('may be killed: nothing is lost, invented, repeated or reordered', killBroker)
    holds('keeps the order of every subject while bridges come and go', churn)
    if (name !== 'redis') return
    const retained = { sinkQuery: '?retain=1g' }
    holds('may forget everything: nothing is lost, repeated or reordered', flushRedis)
    holds('may lose its last writes with the power: they are appended again', cutRedis, retained)
    it('may fail over to a replica that is behind: what it lacks is appended again', failOver, timeout)
  })
}

async function failOver(): Promise<void> {
  await using broker = await startPrivateRedisPair()
  const run = (world: World) => failOverRedis(world, { seconds: 3 })
  const options = { server, seed: 61, subjects: 50, broker, sinkQuery: '?retain=1g' }
  expectKept(await withWorld(options, run))
}
