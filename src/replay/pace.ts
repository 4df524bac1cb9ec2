import { setTimeout as delay } from 'node:timers/promises'
import type { Lane, Transport } from '../transports/transport.ts'

/** So many times a second something comes: smooth enough for who looks, and cheap. */
const portionsPerSecond = 10

export interface Pace {
  /** At most so many at once. */
  readonly portion: number
  /** Resolves when so many more may go; also when the signal aborts. */
  pass(count: number, signal: AbortSignal): Promise<void>
}

/** Never faster than this over any time; what was not used is not saved up. */
export function createPace(ratePerSecond: number): Pace {
  let freeMs = performance.now()
  return {
    portion: Math.max(1, Math.floor(ratePerSecond / portionsPerSecond)),
    async pass(count, signal) {
      const waitMs = Math.max(0, freeMs - performance.now())
      freeMs = Math.max(freeMs, performance.now()) + (count * 1000) / ratePerSecond
      if (waitMs > 0) await delay(waitMs, undefined, { signal }).catch(() => {})
    },
  }
}

/** The same transport, whose lanes together hand out no more than the pace allows. */
export function pacedTransport(transport: Transport, pace: Pace): Transport {
  const behind = new WeakMap<Lane, Lane>()
  const paced = (lane: Lane): Lane => {
    const own: Lane = {
      id: lane.id,
      epoch: lane.epoch,
      lost: lane.lost,
      async take(max, signal) {
        const taken = await lane.take(Math.min(max, pace.portion), signal)
        if (taken.length > 0) await pace.pass(taken.length, AbortSignal.any([signal, lane.lost]))
        // What is not handed out any more stays unsettled, and goes to the next owner.
        return signal.aborted || lane.lost.aborted ? [] : taken
      },
      settle: (done) => lane.settle(done),
      release: () => lane.release(),
    }
    behind.set(own, lane)
    return own
  }
  return {
    ...transport,
    async *lanes(topics, group, options) {
      for await (const lane of transport.lanes?.(topics, group, options) ?? []) yield paced(lane)
    },
    settleIn: async (sql, progress) =>
      transport.settleIn?.(
        sql,
        progress.map(({ lane, done }) => ({ lane: behind.get(lane) ?? lane, done })),
      ),
  }
}
