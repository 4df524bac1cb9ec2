import { afterAll, beforeAll, describe } from 'vitest'
import { openRedis, redisCapabilities } from '../../src/transports/redis/index.ts'
import { type PrivateRedis, startPrivateRedis } from '../setup/private-redis.ts'
import { doomInProcess } from './conformance/doom.ts'
import { describeTransport } from './conformance.ts'

describe('Redis', () => {
  let redis: PrivateRedis
  beforeAll(async () => {
    // It is killed here: with `everysec`, what was confirmed may still wait for a slow disk.
    redis = await startPrivateRedis({ args: ['--proto-max-bulk-len', '4mb', '--appendfsync', 'always'] })
  })
  afterAll(() => redis.stop())

  describeTransport('redis', {
    open: () => openRedis(redis.url),
    capabilities: redisCapabilities,
    doom: (plan) => doomInProcess(redis.url, plan),
    disconnect: () => redis.disconnectClients(),
    async restart() {
      await redis.kill('SIGKILL')
      await redis.restart()
    },
    spoil: (message) => ({ ...message, body: Buffer.alloc(5 * 1024 * 1024, 'x') }),
  })
})
