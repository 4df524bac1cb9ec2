import { afterAll, beforeAll, expect, it } from 'vitest'
import { migrateUp } from '../../src/store/migrate.ts'
import { startPrivateKafka } from '../setup/private-kafka.ts'
import type { PrivateBroker } from '../setup/private-process.ts'
import { startPrivateRabbit } from '../setup/private-rabbitmq.ts'
import { startPrivateRedis } from '../setup/private-redis.ts'
import { startPrivateServer } from '../setup/private-server.ts'
import { describeWithOwn } from '../setup/shared-servers.ts'
import { drainPending, type Held, holdConsumer } from './holding.ts'

// Short forms; `npm run soak -- stopped` and `npm run soak -- pending` are the long ones.
const timeout = 120_000
/** Of a handler without a transaction. */
const defaultConcurrency = 4
const bytes = 120_000_000
const short = { seconds: 0, bodyBytes: 40_000, leastBytes: bytes, mostBytes: bytes, prefetch: 10, goOnSeconds: 1 }
/** Far below what is published while it stands still, and above what a young heap takes. */
const mostMoreMiB = 80

function expectBounded({ beforeMiB, duringMiB, settled }: Held): void {
  expect(duringMiB - beforeMiB).toBeLessThan(mostMoreMiB)
  expect(settled).toBeGreaterThan(0)
}

const start = { redis: startPrivateRedis, kafka: startPrivateKafka, rabbitmq: startPrivateRabbit } as const

for (const name of ['redis', 'kafka', 'rabbitmq'] as const) {
  describeWithOwn(name, 'a consumer that stands still at full rate', () => {
    let broker: PrivateBroker
    beforeAll(async () => {
      broker = await start[name]()
    }, timeout)
    afterAll(() => broker?.stop())

    const holds = (title: string, hold: () => Promise<void>) => it(title, hold, timeout)

    holds('holds no more than its prefetch, and its memory stays bounded', async () => {
      const held = await holdConsumer({ ...short, broker })
      expect(held.mostUnsettled).toBe(4 * short.prefetch)
      expectBounded(held)
    })

    // Above the transport nothing differs between brokers.
    if (name !== 'redis') return
    holds('holds no more than its handlers may begin, behind a store', async () => {
      await using server = await startPrivateServer({ version: 18 })
      await migrateUp(server.url)
      const held = await holdConsumer({ ...short, broker, store: server.url })
      expect(held.mostUnsettled).toBe(defaultConcurrency)
      expectBounded(held)
    })
  })
}

describeWithOwn('redis', 'entries that a dead consumer left pending', () => {
  it(
    'are drained with a memory far below their size',
    async () => {
      await using redis = await startPrivateRedis({ args: ['--appendonly', 'no'] })
      const { beforeMiB, peakMiB } = await drainPending(redis, { count: 20_000, bodyBytes: 16_000 })
      expect(peakMiB - beforeMiB).toBeLessThan(250)
    },
    timeout,
  )
})
