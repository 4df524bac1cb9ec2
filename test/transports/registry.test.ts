import { describe, expect, it } from 'vitest'
import { openTransport, transportSchemes } from '../../src/transports/registry.ts'
import type { ServerProblem } from '../../src/transports/transport.ts'
import { startPrivateRedis } from '../setup/private-redis.ts'
import { canStart } from '../setup/shared-servers.ts'
import { until } from '../setup/until.ts'

describe('registry of transports', () => {
  it.skipIf(!canStart('redis'))('tells who listens for problems what is wrong with the server', async () => {
    await using redis = await startPrivateRedis({ args: ['--maxmemory-policy', 'allkeys-lru'] })
    const told: ServerProblem[] = []
    const transport = await openTransport(redis.url, { onServerProblem: (problem) => told.push(problem) })
    await until(() => told.length > 0)
    expect(told.find(({ problem }) => problem.startsWith('maxmemory-policy is allkeys-lru'))).toMatchObject({
      remedy: expect.stringContaining('noeviction'),
    })
    await transport.close()
  })

  it('opens by scheme, whatever its case', async () => {
    const opened = await Promise.all(['memory://', 'NOOP://'].map((url) => openTransport(url)))
    expect(opened.map(({ name }) => name)).toEqual(['memory', 'noop'])
    await Promise.all(opened.map((transport) => transport.close()))
  })

  it('names what it knows when it does not know the scheme, and hides the password', async () => {
    const opening = openTransport('mqtt://me:secret@host')
    await expect(opening).rejects.toMatchObject({ code: 'usage', hint: expect.stringContaining('postgres://') })
    await expect(opening).rejects.not.toThrow('secret')
    await expect(openTransport('nonsense')).rejects.toThrow('a URL without scheme')
  })

  it('says which server does not answer', async () => {
    const opening = openTransport('postgres://me:secret@127.0.0.1:1/none')
    await expect(opening).rejects.toMatchObject({ code: 'connect', message: expect.stringContaining('127.0.0.1:1') })
    await expect(opening).rejects.not.toThrow('secret')
  })

  it('knows both names of Postgres', () => {
    expect(transportSchemes).toEqual(expect.arrayContaining(['memory', 'noop', 'postgres', 'postgresql']))
  })

  it('knows Redis with and without TLS', () => {
    expect(transportSchemes).toEqual(expect.arrayContaining(['redis', 'rediss']))
  })
})
