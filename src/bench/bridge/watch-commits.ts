import type { Lane, LaneOptions, LaneProgress, Received, Transport } from '../../transports/transport.ts'

/**
 * The same transport, and a word about every batch of messages that a group has settled: that is the moment after the
 * commit of their effects.
 */
export function watchCommits(
  transport: Transport,
  settled: (group: string, messages: readonly Received[]) => void,
): Transport {
  const originals = new WeakMap<Lane, Lane>()

  function watched(lane: Lane, group: string): Lane {
    const watching: Lane = {
      id: lane.id,
      get epoch() {
        return lane.epoch
      },
      lost: lane.lost,
      take: (max, signal) => lane.take(max, signal),
      settle(done) {
        settled(group, done)
        return lane.settle(done)
      },
      release: () => lane.release(),
    }
    originals.set(watching, lane)
    return watching
  }

  async function* lanes(topics: readonly string[], group: string, options: LaneOptions): AsyncGenerator<Lane> {
    for await (const lane of transport.lanes?.(topics, group, options) ?? []) yield watched(lane, group)
  }

  const original = (progress: LaneProgress) => ({ ...progress, lane: originals.get(progress.lane) ?? progress.lane })
  return {
    name: transport.name,
    capabilities: transport.capabilities,
    named: transport.named,
    observes: transport.observes,
    ensure: (topics, mode) => transport.ensure(topics, mode),
    publish: (topic, batch, signal) => transport.publish(topic, batch, signal),
    ...(transport.lanes ? { lanes } : {}),
    ...(transport.settleIn
      ? { settleIn: async (sql, progress) => transport.settleIn?.(sql, progress.map(original)) }
      : {}),
    observe: (selector, options) => transport.observe(selector, options),
    inspect: (topics) => transport.inspect(topics),
    ...(transport.deadLetters ? { deadLetters: transport.deadLetters } : {}),
    close: () => transport.close(),
  }
}
