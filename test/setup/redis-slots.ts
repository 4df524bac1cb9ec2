import { setTimeout as wait } from 'node:timers/promises'
import type { PrivateRedis, PrivateRedisCluster } from './private-redis.ts'

/**
 * Moves the slot of `key`, with all that lies in it, to another master as `redis-cli --cluster reshard` does it, but slowly: key by key, so
 * that for a while some are here and some there.
 */
export async function moveSlotOf(key: string, { nodes }: PrivateRedisCluster, betweenMs = 30): Promise<void> {
  const slot = Number(await nodes[0]?.command('cluster', 'keyslot', key))
  const from = await ownerOf(slot, nodes)
  const to = nodes[(nodes.indexOf(from) + 1) % nodes.length] as PrivateRedis
  await to.command('cluster', 'setslot', slot, 'importing', await idOf(from))
  await from.command('cluster', 'setslot', slot, 'migrating', await idOf(to))
  for (;;) {
    const keys = (await from.command('cluster', 'getkeysinslot', slot, 1)) as string[]
    if (keys.length === 0) break
    await from.command('migrate', '127.0.0.1', to.port, '', 0, 5_000, 'keys', ...keys)
    await wait(betweenMs)
  }
  const id = await idOf(to)
  // The new owner first, or clients are sent back and forth.
  for (const node of [to, from, ...nodes]) await node.command('cluster', 'setslot', slot, 'node', id)
}

const idOf = async (node: PrivateRedis) => String(await node.command('cluster', 'myid'))

async function ownerOf(slot: number, nodes: readonly PrivateRedis[]): Promise<PrivateRedis> {
  const ranges = (await nodes[0]?.command('cluster', 'slots')) as [number, number, [string, number]][]
  const port = ranges.find(([from, to]) => from <= slot && slot <= to)?.[2][1]
  const owner = nodes.find((node) => node.port === port)
  if (!owner) throw new Error(`nobody owns slot ${slot}`)
  return owner
}
