// Takes and settles what comes, for tests of the lanes.
import { expect, onTestFinished } from 'vitest'
import type { Lane, LaneOptions, Received, Transport } from '../../../src/transports/transport.ts'

export interface ConsumeOptions extends Partial<LaneOptions> {
  /** Default: `sink`. */
  readonly topics?: readonly string[]
  /** May hold up what was taken. */
  onTake?(): Promise<void>
}

/** Takes and settles everything. */
export function consume(transport: Transport, group = 'g', options: ConsumeOptions = {}) {
  const { topics = ['sink'] } = options
  const received: Received[] = []
  const owned: Lane[] = []
  const stopping = new AbortController()
  onTestFinished(() => stopping.abort())
  const drain = async (lane: Lane) => {
    while (!stopping.signal.aborted && !lane.lost.aborted) {
      const batch = await lane.take(50, stopping.signal)
      if (batch.length > 0) await options.onTake?.()
      received.push(...batch)
      await lane.settle(batch)
    }
    await lane.release()
  }
  const run = async () => {
    const given = { prefetch: 100, patterns: [], start: 'earliest', lanes: 4, member: 'm', ...options } as const
    const draining: Promise<void>[] = []
    for await (const lane of transport.lanes?.(topics, group, { ...given, signal: stopping.signal }) ?? []) {
      owned.push(lane)
      draining.push(drain(lane))
    }
    await Promise.all(draining)
  }
  const done = run()
  done.catch(() => {})
  return {
    received,
    owned,
    ids: () => new Set(received.map(({ id }) => id)),
    async stop() {
      stopping.abort()
      await done
    },
  }
}

/** The positions of each key never go back. */
export function expectInOrder(received: readonly Received[]): void {
  const last = new Map<string | null, bigint>()
  for (const { key, log = 0n } of received) {
    expect(log).toBeGreaterThan(last.get(key) ?? 0n)
    last.set(key, log)
  }
}
