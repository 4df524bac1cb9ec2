import { describe, expect, it, onTestFinished } from 'vitest'
import { assertVersion } from '../../../src/transports/redis/check-server.ts'
import { type PrivateRedisOptions, startPrivateRedis } from '../../setup/private-redis.ts'
import { until } from '../../setup/until.ts'
import { openTold } from './watching.ts'

const place = { url: 'redis://h:6379', host: 'h:6379', user: 'default' }

async function start(options: PrivateRedisOptions = {}) {
  const server = await startPrivateRedis(options)
  onTestFinished(() => server.stop())
  return server
}

async function problemsOf(url: string): Promise<readonly string[]> {
  const { transport } = await openTold(url)
  return ((await transport.checkServer?.()) ?? []).map(({ problem }) => problem)
}

describe('checking the server', () => {
  it('finds nothing wrong with one that keeps all it has', async () => {
    const server = await start({ args: ['--appendfsync', 'everysec', '--maxmemory', '100mb'] })
    expect(await problemsOf(server.url)).toEqual([])
  })

  it('names an eviction policy, and that nothing or little is kept on disk', async () => {
    const server = await start({
      args: ['--appendonly', 'no', '--maxmemory-policy', 'allkeys-lru', '--maxmemory', '50mb'],
    })
    expect(await problemsOf(server.url)).toEqual([
      'maxmemory-policy is allkeys-lru: Redis drops whole streams when memory is full',
      'nothing is kept on disk: a restart of Redis loses every message',
    ])
    await server.command('config', 'set', 'maxmemory-policy', 'noeviction', 'save', '3600 1')
    expect(await problemsOf(server.url)).toEqual([
      'only snapshots are kept (save 3600 1): a crash loses what came after the last one',
    ])
    await server.command('config', 'set', 'save', '', 'appendonly', 'yes', 'appendfsync', 'no')
    expect(await problemsOf(server.url)).toEqual([
      'appendfsync is no: a crash of the machine loses up to half a minute',
    ])
  })

  it('names a replica', async () => {
    const master = await start({ args: ['--appendfsync', 'everysec'] })
    const replica = await start({ replicaOf: master.port, args: ['--appendfsync', 'everysec'] })
    await until(async () => String(await replica.command('info', 'replication')).includes('master_link_status:up'), {
      withinMs: 20_000,
    })
    expect(await problemsOf(replica.url)).toContain('the server is a replica: it takes no writes')
  }, 30_000)

  it('does not take for a problem what the user may not ask', async () => {
    const server = await start({ users: ['user bob on >pw ~* &* +@all -config -info'], args: ['--appendonly', 'no'] })
    expect(await problemsOf(server.url.replace('evt:evt@', 'bob:pw@'))).toEqual([])
  })

  it.each([
    ['6.2.14', false],
    ['5.0.0', false],
    ['7.0.0', true],
    ['7.2.4', true],
    ['10.1.0', true],
    ['', true],
  ])('of version %j takes it: %s', (version, taken) => {
    const check = () => assertVersion({ version, role: 'master', mode: 'standalone' }, place)
    if (taken) expect(check).not.toThrow()
    else expect(check).toThrow(`cannot use redis://h:6379: it is Redis ${version}, and evt needs 7.0`)
  })
})
