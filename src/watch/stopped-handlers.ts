import type { HandlerState } from '../store/handler-states.ts'
import { isReplayHandler } from '../store/replays.ts'
import type { InstanceSample, StoppedHandler } from './snapshot.ts'

/** What the store and the bridges know of handlers, told together: those that do not run, by name. Pure. */
export function stoppedHandlers(
  states: readonly HandlerState[],
  instances: readonly InstanceSample[],
): readonly StoppedHandler[] {
  const known = new Map(states.map((state) => [state.handler, state]))
  const samples = Map.groupBy(
    instances.flatMap(({ alive, handlers }) => handlers.map((sample) => ({ alive, sample }))),
    ({ sample }) => sample.handler,
  )
  return [...new Set([...known.keys(), ...samples.keys()])].sort().flatMap((handler): StoppedHandler[] => {
    const { pause = null, breaker = null } = known.get(handler) ?? {}
    const running = (samples.get(handler) ?? []).filter(({ alive }) => alive)
    const isOpen = breaker?.state === 'open'
    const unhealthy = running.flatMap(({ sample }) => sample.unhealthy ?? [])[0] ?? null
    const own = { handler, pause, breaker, unhealthy }
    // Nobody but its replay runs one of a replay, and that only while it is not paused.
    if (running.length === 0) return isReplayHandler(handler) ? [] : [{ ...own, state: 'nobody' }]
    if (pause || running.some(({ sample }) => sample.paused)) return [{ ...own, state: 'paused' }]
    if (isOpen || running.some(({ sample }) => sample.broken)) return [{ ...own, state: 'broken' }]
    return unhealthy === null ? [] : [{ ...own, state: 'unhealthy' }]
  })
}
