import type { HandlerRuntime } from './handler-runtime.ts'
import { type Item, lowWater, type OwnedLane } from './item.ts'
import { queueOf } from './plan.ts'
import { comesAlone } from './suspects.ts'

/**
 * An event to try an open breaker with, out of these lanes' buffers: of a subject that does not wait for an attempt, and the first one of it.
 * Anywhere in the buffer: where many subjects that are poison stand in front, those behind them say how the handler is. A lane settles in any
 * order.
 */
export function takeProbe(runtime: HandlerRuntime, lanes: readonly OwnedLane[]): Item | undefined {
  const ready = lanes.filter(({ buffer }) => buffer.length > 0)
  const first = Math.floor(Math.random() * ready.length)
  for (let n = 0; n < ready.length; n++) {
    const owned = ready[(first + n) % ready.length] as OwnedLane
    const able = eligible(runtime, owned)
    const at = able[Math.floor(Math.random() * able.length)]
    if (at === undefined) continue
    const [item] = owned.buffer.splice(at, 1)
    if (owned.buffer.length <= lowWater) owned.onLow?.()
    return item
  }
  return undefined
}

function eligible(runtime: HandlerRuntime, { buffer, parked }: OwnedLane): number[] {
  const before = new Set<string>()
  const able: number[] = []
  for (const [at, item] of buffer.entries()) {
    // What may end the process waits for its turn, and what is behind it too.
    if (comesAlone(runtime.config, item)) break
    const queue = queueOf(runtime, item)
    if (queue === null || !(parked.has(queue) || before.has(queue))) able.push(at)
    if (queue !== null) before.add(queue)
  }
  return able
}
