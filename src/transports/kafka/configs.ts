import type { Cluster } from './cluster.ts'
import { throwIfFailed } from './errors.ts'
import { kafkaCall } from './protocol.ts'

const kinds = { topic: 2, broker: 4 } as const

async function describe(
  cluster: Cluster,
  type: number,
  name: string,
  node: number | 'any',
): Promise<ReadonlyMap<string, string>> {
  const parameters = { resources: [{ type, name, configNames: [] }], includeSynonyms: false }
  const { resources } = await cluster.ask(node, (versions) => kafkaCall(versions, 'DescribeConfigs', parameters))
  for (const { errorCode } of resources) throwIfFailed(errorCode)
  const entries = resources.flatMap(({ configEntries }) => configEntries)
  return new Map(entries.map(({ configName, configValue }) => [configName, configValue ?? '']))
}

/** All settings of a topic, defaults included. */
export const describeTopic = (cluster: Cluster, topic: string) => describe(cluster, kinds.topic, topic, 'any')

export const describeBroker = (cluster: Cluster, node: number) => describe(cluster, kinds.broker, String(node), node)
