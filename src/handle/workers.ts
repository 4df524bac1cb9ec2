import { toError } from '../core/errors.ts'
import { apart } from './apart.ts'
import type { Interruptible } from './attempt.ts'
import type { HandlerRuntime } from './handler-runtime.ts'
import { type DueJob, type Item, isResting, lowWater, type OwnedLane } from './item.ts'
import type { ReadLogged } from './rebuild-item.ts'
import { workOffJob } from './stored-job.ts'
import { comesAlone, workOffSuspect } from './suspects.ts'
import { takeProbe } from './take-probe.ts'
import { wallMs } from './wall-clock.ts'
import { workOff } from './work-off.ts'

/** The workers of one handler, over all its lanes in this process. A lane is in one worker's hands at a time: order needs no locks. */
export interface Workers {
  bind(owned: OwnedLane): void
  /** There may be something to do. */
  ring(): void
  pause(state: boolean): void
  isPaused(): boolean
  /** By the handler's breaker: nothing is begun, but by `probe`. */
  hold(state: boolean): void
  /** Begins one event and resolves when it is done; false when there is none. */
  probe(): Promise<boolean>
  /** Resolves when nothing of the lane is in a worker's hands. To be closed before. */
  left(owned: OwnedLane): Promise<void>
  /** Resolves when what was begun is done; nothing new is begun. */
  stop(): Promise<void>
  /** What runs now has lost its lane, or its process has to stop. */
  interrupt(reason: unknown, owned?: OwnedLane): void
}

export interface WorkersOptions {
  readonly runtime: HandlerRuntime
  readonly readLogged: ReadLogged
  readonly count: number
}

/** When its first event was stored, or came here. */
function ageOf({ buffer: [head] }: OwnedLane): number {
  return head?.message.sequencedMs ?? head?.takenMs ?? 0
}

export function createWorkers({ runtime, readLogged, count }: WorkersOptions): Workers {
  const { batch, lingerMs } = runtime.config
  const lanes: OwnedLane[] = []
  /** In a worker's hands. */
  const held = new Set<OwnedLane>()
  const leaving = new Map<OwnedLane, () => void>()
  const idle: (() => void)[] = []
  const places: readonly Interruptible[] = Array.from({ length: count }, () => new Set())
  const probePlace: Interruptible = new Set()
  let lingering: NodeJS.Timeout | undefined
  let rung = false
  let stopping = false
  let paused = false
  let onHold = false
  let probing: Promise<unknown> = Promise.resolve()
  let jobsFirst = true

  const isFree = (owned: OwnedLane) => !owned.closed && !held.has(owned) && !isResting(owned)

  function nextJob(): { readonly job: DueJob; readonly owned: OwnedLane } | undefined {
    for (const owned of lanes) {
      const job = isFree(owned) ? owned.due.shift() : undefined
      if (job) return { job, owned }
    }
    return undefined
  }

  /** What came may wait for others: ms until the first of them has waited enough; 0 when there is nothing to wait for. */
  function lingers(most: number, ready: readonly OwnedLane[]): number {
    if (lingerMs === 0 || ready.length === 0) return 0
    if (ready.reduce((sum, { buffer }) => sum + buffer.length, 0) >= most) return 0
    const first = Math.min(...ready.map(({ buffer: [head] }) => head?.takenMs ?? 0))
    // A clock that was put back makes nobody wait longer.
    return Math.min(lingerMs, Math.max(0, first + lingerMs - wallMs()))
  }

  /** What is there, in each lane's order; the lane with the oldest event first, so that all stay near each other in the log. What an owner died of a second time comes alone. */
  function nextItems(most: number): Item[] {
    const items: Item[] = []
    const ready = lanes.filter((owned) => owned.buffer.length > 0 && isFree(owned))
    const waitMs = lingers(most, ready)
    if (waitMs > 0) {
      lingering ??= setTimeout(() => {
        lingering = undefined
        ring()
      }, waitMs)
      return []
    }
    for (const owned of ready.sort((a, b) => ageOf(a) - ageOf(b))) {
      const suspect = owned.buffer.findIndex((item) => comesAlone(runtime.config, item))
      const isAlone = suspect === 0 && items.length === 0
      const count = isAlone ? 1 : Math.min(most - items.length, suspect < 0 ? most : suspect)
      items.push(...owned.buffer.splice(0, count))
      if (owned.buffer.length <= lowWater) owned.onLow?.()
      if (isAlone || items.length === most) break
    }
    return items
  }

  async function beside(work: () => Promise<void>): Promise<void> {
    const entering = apart.enter()
    if (entering) await entering
    await work().finally(apart.leave)
  }

  async function runItems(items: readonly Item[], place: Interruptible): Promise<void> {
    runtime.meter.started(items.length)
    const [first] = items
    if (first && comesAlone(runtime.config, first)) await workOffSuspect(runtime, first, place)
    else await beside(() => workOff(runtime, items, place))
    runtime.meter.finished(items.length)
  }

  /** Retries and fresh events take turns, so that neither waits for all of the other. */
  function next(
    most: number,
  ): { readonly lanes: readonly OwnedLane[]; readonly run: (place: Interruptible) => Promise<void> } | undefined {
    for (let at = lanes.length - 1; at >= 0; at--) if (lanes[at]?.closed) lanes.splice(at, 1)
    jobsFirst = !jobsFirst
    const due = jobsFirst ? nextJob() : undefined
    const items = due ? [] : nextItems(most)
    const found = due ?? (items.length === 0 ? nextJob() : undefined)
    if (found) {
      const { job, owned } = found
      return { lanes: [owned], run: (place) => beside(() => workOffJob(runtime, job, { owned, place, readLogged })) }
    }
    if (items.length === 0) return undefined
    return { lanes: [...new Set(items.map(({ owned }) => owned))], run: (place) => runItems(items, place) }
  }

  /** What tells most about the handler: fresh events before those of which an attempt has failed. */
  function nextProbe(): ReturnType<typeof next> {
    const item = takeProbe(runtime, lanes.filter(isFree))
    return item && { lanes: [item.owned], run: (place) => runItems([item], place) }
  }

  async function step(place: Interruptible): Promise<boolean> {
    const work = paused || onHold ? undefined : next(batch > 1 ? batch : runtime.pace.chunkSize())
    if (!work) return false
    await perform(work, place)
    return true
  }

  async function perform(work: NonNullable<ReturnType<typeof next>>, place: Interruptible): Promise<void> {
    for (const owned of work.lanes) held.add(owned)
    // There may be more than one can do.
    ring()
    try {
      await work.run(place)
    } finally {
      for (const owned of work.lanes) {
        held.delete(owned)
        leaving.get(owned)?.()
      }
    }
  }

  async function loop(place: Interruptible): Promise<void> {
    while (!stopping) {
      rung = false
      if (await step(place).catch(onDefect)) continue
      // A ring between looking and waiting must not be lost.
      if (rung) continue
      const rested = ringAfterRest()
      await new Promise<void>((resolve) => idle.push(resolve))
      clearTimeout(rested)
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

  /** One that is idle looks; when it finds something it rings for the next. */
  function ring(): void {
    rung = true
    idle.pop()?.()
  }

  const running = Promise.all(places.map(loop))

  return {
    bind: (owned) => void lanes.push(owned),
    ring,
    pause(state) {
      paused = state
      ring()
    },
    isPaused: () => paused,
    hold(state) {
      onHold = state
      ring()
    },
    async probe() {
      const work = paused || stopping ? undefined : (nextProbe() ?? next(1))
      if (!work) return false
      probing = perform(work, probePlace).catch(onDefect)
      await probing
      return true
    },
    async left(owned) {
      if (held.has(owned)) await new Promise<void>((resolve) => leaving.set(owned, resolve))
      leaving.delete(owned)
    },
    async stop() {
      stopping = true
      clearTimeout(lingering)
      for (const wake of idle.splice(0)) wake()
      await running
      await probing
    },
    interrupt(reason, owned) {
      for (const place of [...places, probePlace])
        for (const one of place) if (owned === undefined || one.owned === owned) one.interrupt(reason)
    },
  }
}
