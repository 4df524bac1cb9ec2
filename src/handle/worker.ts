import { toError } from '../core/errors.ts'
import type { Interruptible } from './attempt.ts'
import type { HandlerRuntime } from './handler-runtime.ts'
import { type DueJob, type Item, isResting, type OwnedLane } from './item.ts'
import type { ReadLogged } from './rebuild-item.ts'
import { workOffJob } from './stored-job.ts'
import { workOffSuspect } from './suspects.ts'
import { workOff } from './work-off.ts'

/** Events of one transaction at most. */
const chunkSize = 100

/** Works on the lanes that are bound to it, one thing at a time: order within a lane needs no locks. */
export interface Worker {
  readonly lanes: readonly OwnedLane[]
  bind(owned: OwnedLane): void
  /** There may be something to do. */
  ring(): void
  pause(state: boolean): void
  isPaused(): boolean
  /** Resolves when what was begun is done; nothing new is begun. */
  stop(): Promise<void>
  /** What it runs now has lost its lane, or its process has to stop. */
  interrupt(reason: unknown, owned?: OwnedLane): void
}

export function createWorker(runtime: HandlerRuntime, readLogged: ReadLogged): Worker {
  const lanes: OwnedLane[] = []
  const place: Interruptible = {}
  let wake: (() => void) | undefined
  let rung = false
  let stopping = false
  let paused = false
  let turn = 0
  let jobsFirst = true

  function nextJob(): { readonly job: DueJob; readonly owned: OwnedLane } | undefined {
    for (const owned of lanes) {
      const job = owned.closed || isResting(owned) ? undefined : owned.due.shift()
      if (job) return { job, owned }
    }
    return undefined
  }

  /** From each lane in turn what is there, in its order; a suspect comes alone. */
  function nextItems(): Item[] {
    const items: Item[] = []
    turn += 1
    for (let n = 0; n < lanes.length && items.length < chunkSize; n++) {
      const owned = lanes[(turn + n) % lanes.length] as OwnedLane
      if (isResting(owned)) continue
      const suspect = owned.buffer.findIndex((item) => item.message.deliveries > 1)
      if (suspect === 0 && items.length === 0) return owned.buffer.splice(0, 1)
      items.push(...owned.buffer.splice(0, Math.min(chunkSize - items.length, suspect < 0 ? chunkSize : suspect)))
    }
    return items
  }

  async function runItems(items: readonly Item[]): Promise<void> {
    runtime.meter.started(items.length)
    const [first] = items
    if (first && first.message.deliveries > 1) await workOffSuspect(runtime, first, place)
    else await workOff(runtime, items, place)
    runtime.meter.finished(items.length)
  }

  /** Retries and fresh events take turns, so that neither waits for all of the other. */
  async function step(): Promise<boolean> {
    for (let at = lanes.length - 1; at >= 0; at--) if (lanes[at]?.closed) lanes.splice(at, 1)
    jobsFirst = !jobsFirst
    const due = jobsFirst ? nextJob() : undefined
    const items = due ? [] : nextItems()
    const job = due ?? (items.length === 0 ? nextJob() : undefined)
    if (job) await workOffJob(runtime, job.job, { owned: job.owned, place, readLogged })
    else if (items.length > 0) await runItems(items)
    return job !== undefined || items.length > 0
  }

  async function loop(): Promise<void> {
    while (!stopping) {
      rung = false
      if (!paused && (await step().catch(onDefect))) continue
      // A ring between looking and waiting must not be lost.
      const rested = ringAfterRest()
      if (!rung) await new Promise<void>((resolve) => (wake = resolve))
      clearTimeout(rested)
      wake = undefined
    }
  }

  function ringAfterRest(): NodeJS.Timeout | undefined {
    const ends = lanes.filter(isResting).map((owned) => owned.restsUntilMs)
    return ends.length === 0 ? undefined : setTimeout(ring, Math.min(...ends) - performance.now() + 1)
  }

  async function onDefect(error: unknown): Promise<boolean> {
    runtime.log.error('a worker failed; it goes on', { handler: runtime.config.name, error: toError(error).stack })
    await runtime.storeIsBack()
    return true
  }

  const ring = () => {
    rung = true
    wake?.()
  }
  const running = loop()

  return {
    lanes,
    bind: (owned) => void lanes.push(owned),
    ring,
    pause(state) {
      paused = state
      ring()
    },
    isPaused: () => paused,
    stop() {
      stopping = true
      ring()
      return running
    },
    interrupt(reason, owned) {
      if (place.current && (owned === undefined || place.current.owned === owned)) place.current.interrupt(reason)
    },
  }
}
