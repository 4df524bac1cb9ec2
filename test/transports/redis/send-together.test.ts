import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createScript, runScript } from '../../../src/transports/redis/script.ts'
import { type PrivateRedis, startPrivateRedis } from '../../setup/private-redis.ts'
import { connect } from './sink.ts'

describe('scripts of one turn', () => {
  let redis: PrivateRedis
  beforeAll(async () => {
    redis = await startPrivateRedis()
  })
  afterAll(() => redis.stop())

  const lengthOf = createScript('return #ARGV[1]')

  it('wait for each other and leave in one write', async () => {
    const client = connect(redis.url)
    await client.ping()
    const asked = ['a', 'bb', 'ccc'].map((arg) => runScript(client, lengthOf, [], [arg]))
    expect(client.stream.writableLength).toBeGreaterThan(0)
    expect(await Promise.all(asked)).toEqual([1, 2, 3])
    expect(client.stream.writableCorked).toBe(0)
  })

  it('leave at once when they are big', async () => {
    const client = connect(redis.url)
    await client.ping()
    const asked = runScript(client, lengthOf, [], [Buffer.alloc(8_000)])
    expect(client.stream.writableLength).toBe(0)
    expect(await asked).toBe(8_000)
  })
})
