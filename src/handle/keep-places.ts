import { toError } from '../core/errors.ts'
import { carriedTo, type Intake, raisePlace } from '../store/handler-places.ts'
import type { SqlExecutor, Transport } from '../transports/transport.ts'
import type { HandlerLog } from './handler.ts'

/** Between two looks, and how much younger than the oldest that waits a position has to be: clocks and brokers are not exact. */
export const keepingMs = { every: 15_000, slack: 60_000 }

export interface KeepPlacesOptions {
  readonly store: SqlExecutor
  readonly transport: Transport
  readonly intake: Intake
  readonly log: HandlerLog
  /** Handler → the topics that it reads there now. */
  readonly reading: ReadonlyMap<string, readonly string[]>
  readonly timesMs?: typeof keepingMs
}

/**
 * Writes down now and then what handlers over a sink have surely passed: what was in the sink before the oldest that waits there came.
 * Coarse, and never too high: what is read again in the log, the inbox recognises.
 */
export function keepPlaces(options: KeepPlacesOptions): { stop(): Promise<void> } {
  const { store, transport, intake, reading, log, timesMs = keepingMs } = options
  /** How far the sink was when. */
  let samples: readonly { readonly atMs: number; readonly position: bigint }[] = []
  let looking: Promise<void> = Promise.resolve()
  const timer = setInterval(() => {
    looking = looking
      .then(look)
      .catch((error: unknown) =>
        log.debug('cannot look how far handlers are in a sink', { sink: intake.name, error: toError(error).message }),
      )
  }, timesMs.every)
  timer.unref()

  async function look(): Promise<void> {
    if (reading.size === 0) return
    const nowMs = performance.now()
    const position = await carriedTo(store, intake.name)
    if (position === undefined) return
    samples = [...samples, { atMs: nowMs, position }]
    const { topics, groups } = await transport.inspect([...new Set([...reading.values()].flat())])
    let oldestNeededMs = nowMs
    for (const [handler, wanted] of reading) {
      const there = topics.filter(({ topic }) => wanted.includes(topic)).map(({ topic }) => topic)
      const states = groups.filter(({ group, topic }) => group === handler && there.includes(topic))
      const ageMs = waitingMs(states, transport.capabilities.history)
      if (ageMs === undefined || states.length < there.length || there.length === 0) {
        oldestNeededMs = samples[0]?.atMs ?? nowMs
        continue
      }
      const beforeMs = nowMs - ageMs - timesMs.slack
      oldestNeededMs = Math.min(oldestNeededMs, beforeMs)
      const passed = samples.findLast(({ atMs }) => atMs <= beforeMs)
      if (passed) await raisePlace(store, handler, intake, passed.position)
    }
    samples = thinned(samples, oldestNeededMs)
  }

  return {
    async stop() {
      clearInterval(timer)
      await looking
    },
  }
}

/** How long the oldest waits: 0 when nothing does, undefined when nobody can say. */
function waitingMs(
  states: Awaited<ReturnType<Transport['inspect']>>['groups'],
  hasHistory: boolean,
): number | undefined {
  let oldestMs = 0
  for (const { lagMessages, lagIsLeast, oldestAgeMs } of states) {
    if (lagIsLeast) return undefined
    if (lagMessages === 0) continue
    // Where there is no history, the age is that of what this process holds.
    if (!hasHistory || oldestAgeMs === undefined) return undefined
    oldestMs = Math.max(oldestMs, oldestAgeMs)
  }
  return oldestMs
}

const mostSamples = 1_000

/** The last one that is old enough for all stays, and what is younger; of very many every other one. */
function thinned<T extends { readonly atMs: number }>(samples: readonly T[], neededMs: number): readonly T[] {
  const first = samples.findLastIndex(({ atMs }) => atMs <= neededMs)
  const kept = first > 0 ? samples.slice(first) : samples
  return kept.length <= mostSamples ? kept : kept.filter((_, i) => i % 2 === 0)
}
