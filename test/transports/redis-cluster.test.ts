import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openRedis, redisCapabilities } from '../../src/transports/redis/index.ts'
import { besideKey } from '../../src/transports/redis/topic.ts'
import { type PrivateRedisCluster, startPrivateRedisCluster } from '../setup/private-redis.ts'
import { until } from '../setup/until.ts'
import { doomInProcess } from './conformance/doom.ts'
import { describeTransport } from './conformance.ts'

describe('Redis, a cluster of three masters', () => {
  let cluster: PrivateRedisCluster
  beforeAll(async () => {
    cluster = await startPrivateRedisCluster({ args: ['--proto-max-bulk-len', '4mb'] })
  }, 60_000)
  afterAll(() => cluster.stop())

  describeTransport('a redis cluster', {
    open: () => openRedis(cluster.url),
    capabilities: redisCapabilities,
    doom: (plan) => doomInProcess(cluster.url, plan),
    async disconnect() {
      for (const node of cluster.nodes) await node.disconnectClients()
    },
    async restart() {
      const [node] = cluster.nodes
      await node?.kill('SIGKILL')
      await node?.restart()
      // A master that comes back says CLUSTERDOWN for a while: to us, and to who opens connections now.
      const isUp = async () => String(await node?.command('cluster', 'info')).includes('cluster_state:ok')
      await until(isUp, { withinMs: 20_000, what: 'the cluster is up again' })
    },
    spoil: (message) => ({ ...message, body: Buffer.alloc(5 * 1024 * 1024, 'x') }),
  })

  it('is recognised by any of its nodes', async () => {
    const transport = await openRedis(cluster.nodes[1]?.url ?? '')
    await transport.ensure([{ name: 'recognised', lanes: 8 }], 'create')
    const message = (i: number) => ({ id: `${i}`, key: `k${i}`, headers: { 'ce-type': 'a' }, body: new Uint8Array() })
    const batch = Array.from({ length: 80 }, (_, i) => message(i))
    const results = await transport.publish('recognised', batch, AbortSignal.timeout(5_000))
    expect(new Set(results.map(({ state }) => state))).toEqual(new Set(['stored']))
    await transport.close()
  })

  it('keeps what belongs to a stream in its slot, whatever braces its name has', async () => {
    const slotOf = (key: string) => cluster.nodes[0]?.command('cluster', 'keyslot', key)
    for (const name of ['orders', '{a}:orders', 'a{b}c{d}', 'open{', '{{a}}', 'events:user.created', 'a{b']) {
      for (const what of ['groups', 'lane', 'ids:a', 'members:g{x}'])
        expect([name, await slotOf(besideKey(name, what))]).toEqual([name, await slotOf(name)])
    }
  })

  it('refuses a name beside which no key can be kept', async () => {
    const transport = await openRedis(cluster.url)
    for (const name of ['odd}', '{}x', 'a{}b{c}']) {
      const making = transport.ensure([{ name, lanes: 1 }], 'create')
      await expect(making).rejects.toMatchObject({ code: 'usage', message: expect.stringContaining(name) })
    }
    await transport.close()
  })
})
