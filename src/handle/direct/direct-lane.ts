import { setTimeout as delay } from 'node:timers/promises'
import { toError } from '../../core/errors.ts'
import type { Lane, Received } from '../../transports/transport.ts'
import type { DirectRuntime } from './direct-runtime.ts'

/** One message on its way through a handler. */
export interface Job {
  readonly line: Line
  readonly message: Received
  /** By the wall clock. */
  readonly takenMs: number
  /** The attempt that is next, 1 for the first. */
  attempt: number
}

/** Jobs that have to be done one after the other. */
export interface Line {
  readonly key: string
  readonly owned: DirectLane
  /** The first is next. */
  jobs: Job[]
  /** So many of them are in an attempt. */
  begun: number
  /** Jobs of the next attempt; fewer after a batch has failed. */
  most: number
  /** The last one of the batch that failed: behind it the line is as wide as before. */
  narrowUntil: Job | undefined
}

/** A lane that this process owns, for one handler. */
export interface DirectLane {
  readonly lane: Lane
  readonly lines: Map<string, Line>
  /** What of it runs now, to be ended from outside. */
  readonly running: Set<{ interrupt(reason: unknown): void }>
  /** Given back or taken away: nothing of it is begun any more. */
  closed: boolean
  /** What is in hand of it waits for its turn: nothing of it is begun. */
  held: boolean
  /** A dead owner may have started what is in hand: while it runs, nothing else of the process does. */
  alone: boolean
  /** Finished for good: handled, known or buried. Settled soon, with what finishes meanwhile. */
  settle(messages: readonly Received[]): void
  /** Resolves when everything that is finished is settled, or cannot be. */
  settled(): Promise<void>
  /** Told when nothing of it is left to do, when nothing is begun any more, and when a pause has let its last attempt end. */
  onIdle: (() => void) | undefined
}

const againMs = 250

export function createDirectLane(runtime: DirectRuntime, lane: Lane): DirectLane {
  let done: Received[] = []
  let settling: Promise<void> | undefined

  async function settleAll(): Promise<void> {
    // What finishes in this turn is settled at once.
    await Promise.resolve()
    while (done.length > 0 && !lane.lost.aborted) {
      const now = done
      done = []
      try {
        await lane.settle(now)
      } catch (error) {
        // Without it the lane would be full of what is done.
        done = [...now, ...done]
        const facts = { handler: runtime.config.name, lane: lane.id, error: toError(error).message }
        runtime.log.warn('cannot settle what is done; trying again', facts)
        if (runtime.forced.aborted) break
        await delay(againMs, undefined, { signal: lane.lost }).catch(() => {})
      }
    }
    settling = undefined
  }

  return {
    lane,
    lines: new Map(),
    running: new Set(),
    closed: false,
    held: false,
    alone: false,
    onIdle: undefined,
    settle(messages) {
      for (const message of messages) done.push(message)
      settling ??= settleAll()
    },
    settled: async () => settling,
  }
}

/** Nothing of it is begun any more, and what runs is interrupted; the rest comes again at its next owner. */
export function closeDirectLane(runtime: DirectRuntime, owned: DirectLane, reason: unknown): void {
  if (owned.closed) return
  owned.closed = true
  let waiting = 0
  for (const line of owned.lines.values()) waiting += line.jobs.length - line.begun
  runtime.meter.returned(waiting)
  owned.lines.clear()
  for (const { interrupt } of owned.running) interrupt(reason)
  owned.onIdle?.()
}

/** Its line goes on with what is behind them. */
export function finishJobs(line: Line, jobs: readonly Job[]): void {
  const { owned } = line
  if (jobs.length === 1 && line.jobs[0] === jobs[0]) line.jobs.shift()
  else line.jobs = line.jobs.filter((job) => !jobs.includes(job))
  owned.settle(jobs.map(({ message }) => message))
}
