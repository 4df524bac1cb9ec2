import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Cluster, openCluster } from '../../../src/transports/kafka/cluster.ts'
import { kafkaCapabilities, openKafka } from '../../../src/transports/kafka/index.ts'
import { parseKafkaUrl } from '../../../src/transports/kafka/options.ts'
import type { Lane, Received, Transport } from '../../../src/transports/transport.ts'
import { type PrivateKafkaCluster, startPrivateKafkaCluster } from '../../setup/private-kafka-cluster.ts'
import { consume, createWorld, dataOf, until, type World } from '../conformance/world.ts'

// One cluster for all: a node that was killed is back when its test ends.
let kafka: PrivateKafkaCluster
beforeAll(async () => {
  kafka = await startPrivateKafkaCluster()
  cluster = await openCluster(parseKafkaUrl(kafka.url))
}, 120_000)
afterAll(async () => {
  cluster?.close()
  await kafka?.stop()
})

const lanes = 4
const keys = 8

const createClusterWorld = () =>
  createWorld({ open: () => openKafka(kafka.url), capabilities: kafkaCapabilities }, lanes)

let cluster: Cluster

async function leaders(world: World): Promise<readonly number[]> {
  const topic = (await cluster.refresh([world.topic])).get(world.topic)
  return topic?.partitions.map(({ leader }) => leader) ?? []
}

/** As the relay does: entries of the log in their order, and what was not confirmed again until it is. */
function relayLog(world: World, transport: Transport) {
  let over = false
  let confirmed = 0n
  const run = async () => {
    for (let log = 1n; !over; log += 20n) {
      let batch = Array.from({ length: 20 }, (_, i) => {
        const n = Number(log) + i
        return world.message(`s/${n % keys}`, { key: n % keys, n }, { log: BigInt(n) })
      })
      while (batch.length > 0) {
        const results = await transport.publish(world.topic, batch, AbortSignal.timeout(20_000))
        batch = batch.filter((_, i) => results[i]?.state !== 'stored')
      }
      confirmed = log + 19n
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }
  const running = run()
  return {
    get confirmed() {
      return confirmed
    },
    async stop() {
      over = true
      await running
    },
  }
}

/** What came, and every breach of the order: a key that skips, or a lane that hands out again what it handed out. */
function createWatch() {
  const last = new Map<string | null, number>()
  const lastIn = new Map<Lane, bigint>()
  const seen = new Set<bigint>()
  const faults: string[] = []
  return {
    seen,
    faults,
    async onBatch(batch: readonly Received[], lane: Lane): Promise<void> {
      for (const message of batch) {
        const { n } = dataOf(message)
        const log = message.log ?? 0n
        const before = last.get(message.key)
        if (before !== undefined && n > before + keys) faults.push(`${message.key}: ${n} after ${before}`)
        last.set(message.key, Math.max(n, before ?? 0))
        if (log <= (lastIn.get(lane) ?? 0n)) faults.push(`${lane.id}: ${log} after ${lastIn.get(lane)}`)
        lastIn.set(lane, log)
        seen.add(log)
      }
      await lane.settle(batch)
    },
  }
}

/** Under publish and consume: kills the node, starts it again, and waits until all that was confirmed has come. */
async function survives(
  nodeOf: (world: World) => Promise<number>,
  isBack: (world: World, node: number) => Promise<boolean>,
): Promise<void> {
  const world = createClusterWorld()
  const transport = await world.open()
  const watch = createWatch()
  const consumer = consume(world, transport, { onBatch: watch.onBatch })
  const relay = relayLog(world, transport)
  await until('it is under way', () => watch.seen.size > 100)
  const nodeId = await nodeOf(world)
  const node = kafka.nodes[nodeId - 1]
  await node?.kill('SIGKILL')
  const before = relay.confirmed
  await until('others took over', () => relay.confirmed > before + 200n && watch.seen.has(before + 200n), 25_000)
  await node?.restart()
  await until('it is what it was', () => isBack(world, nodeId))
  const then = relay.confirmed
  await until('it goes on', () => relay.confirmed > then && watch.seen.has(then + 1n), 10_000)
  await relay.stop()
  await until('all that was confirmed came', () => watch.seen.size === Number(relay.confirmed), 20_000)
  expect(watch.faults).toEqual([])
  await consumer.stop()
}

it('goes on, in order and without a loss, when the leader of a partition is killed', async () => {
  // And when it leads again, without anybody's death.
  const first = async (world: World) => (await leaders(world))[0] ?? 1
  await survives(first, async (world, node) => (await first(world)) === node)
}, 90_000)

it("goes on, in order and without a loss, when the group's coordinator is killed", async () => {
  await survives(
    (world) => cluster.coordinator(world.group),
    async () => true,
  )
}, 90_000)
