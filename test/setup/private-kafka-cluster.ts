import { findKafka, installKafka, type KafkaPrograms } from './broker-binaries.ts'
import { freeServerPorts } from './ports.ts'
import { type PrivateKafka, startKafkaNode } from './private-kafka.ts'
import { withRetries } from './private-process.ts'
import { remedy } from './server-names.ts'

export interface PrivateKafkaCluster {
  /** Names all brokers. */
  readonly url: string
  /** By node id, from 1 on. One of them may be away. */
  readonly nodes: readonly PrivateKafka[]
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const size = 3
/** Everything lies on each of them, and a write wants two. */
const settings = [
  ...['offsets.topic', 'transaction.state.log', 'default'].map((name) => `${name}.replication.factor=${size}`),
  'min.insync.replicas=2',
  'offsets.topic.num.partitions=6',
  'replica.lag.time.max.ms=1500',
  'replica.fetch.wait.max.ms=50',
  // Who was away leads again soon.
  'leader.imbalance.check.interval.seconds=1',
  'leader.imbalance.per.broker.percentage=0',
]

/** Three brokers of one cluster, each a controller too. */
export async function startPrivateKafkaCluster(): Promise<PrivateKafkaCluster> {
  const programs = findKafka()
  if (!programs) throw new Error(`Kafka is not here: ${remedy('kafka')}`)
  await installKafka()
  return withRetries(() => start(programs))
}

async function start(programs: KafkaPrograms): Promise<PrivateKafkaCluster> {
  const controllers = await freeServerPorts(size)
  const voters = controllers.map((port, i) => `${i + 1}@127.0.0.1:${port}`).join()
  const started = await Promise.allSettled(
    Array.from({ length: size }, (_, i) => {
      const node = { id: i + 1, voters, brokers: size, heapMb: 256 }
      return startKafkaNode(programs, node, { settings })
    }),
  )
  const nodes = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.stop()))
  }
  const failed = started.find((one) => one.status === 'rejected')
  if (failed !== undefined) {
    await stop()
    throw failed.reason
  }
  const url = `kafka://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`
  return { url, nodes, stop, [Symbol.asyncDispose]: stop }
}
