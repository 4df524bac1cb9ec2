// Redis between the store and the handlers, and what it forgets.
import { Cluster, Redis } from 'ioredis'
import { laneOf, streamsOf } from '../../src/transports/redis/topic.ts'
import { decodeOurs } from '../../src/transports/redis/wire.ts'
import type { PrivateBroker } from '../setup/private-process.ts'
import { type PrivateRedis, type PrivateRedisCluster, startPrivateRedisCluster } from '../setup/private-redis.ts'
import type { PrivateRedisPair } from '../setup/redis-pair.ts'
import { losePower, rewriteAppendOnlyFile } from '../setup/redis-power.ts'
import { moveSlotOf } from '../setup/redis-slots.ts'
import type { Running } from './processes.ts'
import { demandBroker, type Outcome, type Trouble, until, within } from './scenarios.ts'
import { sinkLanes, type World } from './world.ts'

/** B24: Redis forgets everything, again and again: its streams, its groups, its marks. */
export async function flushRedis(world: World, trouble: Trouble): Promise<Outcome> {
  const { Redis } = await import('ioredis')
  const redis = new Redis(demandBroker(world).url)
  await world.startBridge('bridge')
  const writer = await world.startWriter()
  let flushes = 0
  await until(trouble, async () => {
    await world.sleep(1000, 3000)
    await redis.flushall()
    flushes += 1
  })
  await writer.end('SIGTERM')
  const verdict = await world.settle(within)
  redis.disconnect()
  return { ...verdict, broken: [], note: `${flushes} times FLUSHALL` }
}

/** B23: the machine under Redis loses its power, and the append-only file its end: from any byte on, sometimes all of it. */
export async function cutRedis(world: World, trouble: Trouble): Promise<Outcome> {
  const redis = demandBroker(world) as PrivateRedis
  await world.startBridge('bridge')
  const writer = await world.startWriter()
  const losses: string[] = []
  await until(trouble, async () => {
    await world.sleep(500, 2000)
    const { lost, of } = await losePower(redis, (size) => world.random() * size)
    losses.push(`${Math.round((100 * lost) / of)} %`)
    await rewriteAppendOnlyFile(redis)
  })
  await writer.end('SIGTERM')
  const verdict = await world.settle(within)
  return {
    ...verdict,
    broken: await unlikeTheLog(world, new Redis(redis.url)),
    note: `lost ${losses.join(' ')} of the file`,
  }
}

/** B25: Redis fails over, again and again, to a replica that is behind: by as much as is appended meanwhile, or by so many entries. */
export async function failOverRedis(world: World, trouble: Trouble & { readonly behind?: number }): Promise<Outcome> {
  const pair = demandBroker(world) as PrivateRedisPair
  await world.startBridge('bridge')
  const writer = await world.startWriter({ pauseMs: 0 })
  const behind: number[] = []
  await until(trouble, async () => {
    await world.sleep(300, 1000)
    pair.holdBack()
    const before = await count(pair.primary, world.topic)
    await world.sleep(300, 1500)
    while ((await count(pair.primary, world.topic)) - before < (trouble.behind ?? 1)) await world.sleep(20, 20)
    behind.push((await count(pair.primary, world.topic)) - (await count(pair.replica, world.topic)))
    await pair.failOver()
  })
  await writer.end('SIGTERM')
  const verdict = await world.settle(within)
  return {
    ...verdict,
    broken: await unlikeTheLog(world, new Redis(pair.primary.url)),
    note: `replicas ${behind.join(', ')} entries behind`,
  }
}

/** B28: the slots of its lanes, and of who owns them, wander from master to master. */
export async function moveSlots(world: World, trouble: Trouble): Promise<Outcome> {
  const cluster = demandBroker(world) as ClusterBroker
  await world.startBridge('bridge')
  const writer = await world.startWriter()
  const keys = [world.topic, ...streamsOf(world.topic, sinkLanes)]
  let moved = 0
  await until(trouble, async () => {
    await world.sleep(50, 300)
    await moveSlotOf(keys[Math.floor(world.random() * keys.length)] ?? '', cluster)
    moved += 1
  })
  return endInCluster(world, writer, `${moved} slots moved`)
}

/** B28: a cluster that stops as a whole when one of its masters is gone. */
export async function losePartOfCluster(world: World, trouble: Trouble): Promise<Outcome> {
  const { nodes } = demandBroker(world) as ClusterBroker
  await world.startBridge('bridge')
  const writer = await world.startWriter()
  let kills = 0
  await until(trouble, async () => {
    await world.sleep(500, 2000)
    const node = nodes[Math.floor(world.random() * nodes.length)]
    await node?.kill('SIGKILL')
    // Longer than the others need to notice.
    await world.sleep(3000, 5000)
    await node?.restart()
    kills += 1
  })
  return endInCluster(world, writer, `${kills} masters gone for a while`)
}

async function endInCluster(world: World, writer: Running, note: string): Promise<Outcome> {
  const { nodes } = demandBroker(world) as ClusterBroker
  await writer.end('SIGTERM')
  const verdict = await world.settle(within)
  const redis = new Cluster(nodes.map(({ port }) => ({ host: '127.0.0.1', port })))
  return { ...verdict, broken: await unlikeTheLog(world, redis), note }
}

type ClusterBroker = PrivateBroker & PrivateRedisCluster

/** A cluster, as far as a world asks for one server. */
export async function startClusterBroker(): Promise<ClusterBroker> {
  const cluster = await startPrivateRedisCluster({ args: ['--cluster-require-full-coverage', 'yes'] })
  const [first] = cluster.nodes
  if (!first) throw new Error('a cluster without nodes')
  const { port, directory, kill, restart } = first
  return { ...cluster, port, directory, pid: first.pid, kill, restart }
}

async function count(redis: PrivateRedis, topic: string): Promise<number> {
  const lengths = await Promise.all(streamsOf(topic, sinkLanes).map((stream) => redis.command('xlen', stream)))
  return lengths.reduce<number>((sum, length) => sum + Number(length), 0)
}

/** Where the event ids of a lane are not those that the log has for it. Only where bridges retain all they settle. Ends the client. */
async function unlikeTheLog({ store, topic }: World, redis: Redis | Cluster): Promise<string[]> {
  const { rows } = await store.query(
    `select o.id, o.subject, l.position::text from evt.log l join evt.outbox o using (class, day, xid, seq) order by l.position`,
  )
  const events = rows as { id: string; subject: string | null; position: string }[]
  try {
    const lanes = await Promise.all(streamsOf(topic, sinkLanes).map((stream) => idsIn(redis, stream)))
    return lanes.flatMap((ids, lane) => {
      const logged = events.filter(
        (event) => laneOf({ key: event.subject, log: BigInt(event.position) }, sinkLanes) === lane,
      )
      const at = logged.findIndex(({ id }, i) => id !== ids[i])
      if (at < 0 && ids.length === logged.length) return []
      return [
        `lane ${lane} has ${ids.length} entries of ${logged.length}, the same up to ${at < 0 ? logged.length : at}`,
      ]
    })
  } finally {
    redis.disconnect()
  }
}

async function idsIn(redis: Redis | Cluster, stream: string): Promise<readonly string[]> {
  const entries = (await redis.xrangeBuffer(stream, '-', '+')) as unknown as readonly [Buffer, Buffer[]][]
  return entries.flatMap(([, fields]) => decodeOurs(fields)?.id ?? [])
}
