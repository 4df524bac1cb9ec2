import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take ten seconds and more, the longest first. Only their order rests on it. */
export const slowest = [
  'test/faults/faults.test.ts',
  'test/handle/direct/churn.test.ts',
  'test/faults/brokers.test.ts',
  'test/transports/postgres.test.ts',
  'test/relay/broker-sinks.test.ts',
  'test/faults/holding.test.ts',
  'test/transports/kafka/trouble.test.ts',
  'test/transports/rabbitmq/bad-input.test.ts',
  'test/transports/rabbitmq.test.ts',
  'test/bench/outage.test.ts',
  'test/transports/kafka.test.ts',
  'test/transports/redis-cluster.test.ts',
  'test/relay/sinks.test.ts',
  'test/setup/private-brokers.test.ts',
  'test/transports/redis.test.ts',
  'test/transports/kafka/cluster.test.ts',
  'test/commands/tail/brokers.test.ts',
  'test/bridge.test.ts',
  'test/transports/rabbitmq/faults.test.ts',
  'test/bench/transport/transport.test.ts',
  'test/store/embedded.test.ts',
  'test/commands/tail.test.ts',
  'test/commands/demo.test.ts',
  'test/transports/kafka/groups.test.ts',
  'test/transports/redis/foreign.test.ts',
  'test/transports/redis/observe.test.ts',
  'test/transports/rabbitmq/consumer-timeout.test.ts',
  'test/transports/redis/lanes.test.ts',
  'test/transports/kafka/storm.test.ts',
  'test/store/archive.test.ts',
  'test/transports/kafka/access.test.ts',
  'test/handle/locked.test.ts',
  'test/commands/dlq-source.test.ts',
  'test/faults/frozen-owner.test.ts',
  'test/bench/cli.test.ts',
] as const

/**
 * Starts the slowest files first, so that none of them runs alone at the end. Vitest knows how long each took only where it
 * ran before; a fresh clone has no such cache.
 */
export class SlowestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = slowest.findIndex((name) => moduleId.endsWith(`/${name}`))
      return at === -1 ? slowest.length : at
    }
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b))
  }
}
