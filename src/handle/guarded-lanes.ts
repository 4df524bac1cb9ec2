import type { Lane, Received } from '../transports/transport.ts'

/** How far the log may be handed out while its handler is on the way to a sink. */
export interface Fence {
  readonly upto: bigint | undefined
  /** The last position that went out. */
  readonly handed: bigint
  move(upto: bigint | undefined): void
  /** Resolves at the next move. */
  moved(): Promise<void>
  note(position: bigint): void
}

export function createFence(): Fence {
  let upto: bigint | undefined
  let handed = 0n
  let next = Promise.withResolvers<void>()
  return {
    get upto() {
      return upto
    },
    get handed() {
      return handed
    },
    move(to) {
      if (to === upto) return
      upto = to
      next.resolve()
      next = Promise.withResolvers()
    },
    moved: () => next.promise,
    note(position) {
      if (position > handed) handed = position
    },
  }
}

/** A lane of the log that hands out nothing behind the fence: that stays unsettled, for who reads the log or the sink next. */
export function fencedLane(lane: Lane, fence: Fence): Lane {
  const inner = lane.take.bind(lane)
  let kept: Received[] = []
  async function take(max: number, signal: AbortSignal): Promise<readonly Received[]> {
    while (!signal.aborted && !lane.lost.aborted) {
      if (kept.length === 0) kept = [...(await inner(max, signal))]
      if (kept.length === 0) return []
      const { upto } = fence
      const open = upto === undefined ? kept : kept.filter(({ log }) => log === undefined || log <= upto)
      const out = kept.splice(0, Math.min(max, open.length))
      const last = out.at(-1)?.log
      if (last !== undefined) fence.note(last)
      if (out.length > 0) return out
      await Promise.race([fence.moved(), abortOf(signal), abortOf(lane.lost)])
    }
    return []
  }
  return withTake(lane, take)
}

/** A lane of which some messages are settled unseen: they were passed elsewhere. */
export function passingLane(lane: Lane, isPassed: (message: Received) => boolean): Lane {
  const inner = lane.take.bind(lane)
  async function take(max: number, signal: AbortSignal): Promise<readonly Received[]> {
    while (true) {
      const taken = await inner(max, signal)
      const passed = taken.filter(isPassed)
      if (passed.length === 0) return taken
      await lane.settle(passed)
      if (passed.length < taken.length) return taken.filter((message) => !passed.includes(message))
    }
  }
  return withTake(lane, take)
}

/** Changed in place: a transport knows its lanes again by what it handed out. */
const withTake = (lane: Lane, take: Lane['take']): Lane => Object.assign(lane, { take })

function abortOf(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
