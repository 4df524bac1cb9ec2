import { toError } from '../../core/errors.ts'
import type { Received } from '../../transports/transport.ts'
import { apart } from '../apart.ts'
import { wallMs } from '../wall-clock.ts'
import type { DirectLane, Line } from './direct-lane.ts'
import type { DirectRuntime } from './direct-runtime.ts'
import { createStep } from './step.ts'

/** Works off the lines of one handler, over all its lanes in this process: one attempt of a line at a time, `concurrency` in all. */
export interface Crew {
  add(owned: DirectLane, messages: readonly Received[]): void
  pause(state: boolean): void
  /** By the handler's breaker: nothing is begun, but by `probe`. */
  halt(state: boolean): void
  /** Makes one attempt; false when there is none to make. */
  probe(): Promise<boolean>
  /** Nothing of this lane is begun while it is held. */
  hold(owned: DirectLane, state: boolean): void
  /** Something of it is in an attempt. */
  isBusy(owned: DirectLane): boolean
  /** Resolves when what was begun is done; nothing new is begun. */
  stop(): Promise<void>
}

const restAfterDefectMs = 1_000
/** Who takes longer alone shares the blame for a process that ends. */
const alonePatienceMs = 10_000

export function createCrew(runtime: DirectRuntime): Crew {
  const { config, meter } = runtime
  const step = createStep(runtime)
  const ready: Line[] = []
  const resting = new Set<NodeJS.Timeout>()
  const running = new Set<Line>()
  let paused = false
  let halted = false
  let onStopped: (() => void) | undefined

  function lineOf(owned: DirectLane, { key, id }: Received): Line {
    // One id at a time also where there is no order: the second one is to find the first in the window.
    const name = config.batch > 1 ? '' : config.ordered && key !== null ? `key ${key}` : `id ${id}`
    const known = owned.lines.get(name)
    if (known) return known
    const line: Line = { key: name, owned, jobs: [], begun: 0, most: config.batch, narrowUntil: undefined }
    owned.lines.set(name, line)
    ready.push(line)
    return line
  }

  function dispatch(): void {
    while (!paused && !halted && !onStopped && running.size < config.concurrency) {
      const line = nextLine()
      if (!line) return
      void work(line)
    }
  }

  function nextLine(): Line | undefined {
    for (;;) {
      const next = ready.findIndex(({ owned }) => !owned.held || owned.closed)
      const [line] = next < 0 ? [] : ready.splice(next, 1)
      if (!line?.owned.closed) return line
    }
  }

  async function work(line: Line, isProbe = false): Promise<void> {
    running.add(line)
    const restMs = await inPlace(line, isProbe)
    running.delete(line)
    goOn(line, restMs)
    if (running.size === 0) onStopped?.()
    dispatch()
  }

  async function inPlace(line: Line, isProbe: boolean): Promise<number> {
    const leave = runtime.enter && (await runtime.enter())
    try {
      return await apartOrBeside(line, isProbe)
    } finally {
      leave?.()
    }
  }

  /** What may end the process would take along whatever runs beside it, and be blamed for what another one beside it does. */
  async function apartOrBeside(line: Line, isProbe: boolean): Promise<number> {
    const run = async () => (mayRun(line, isProbe) ? stepOf(line) : 0)
    if (line.owned.alone) return apart.alone({ run, share: async () => {} }, alonePatienceMs)
    const entering = apart.enter()
    if (entering) await entering
    return run().finally(apart.leave)
  }

  /** While it waited for its place, it may have been told to wait for something else. */
  const mayRun = ({ owned }: Line, isProbe: boolean) =>
    !(paused || (halted && !isProbe) || onStopped !== undefined || owned.held || owned.closed)

  const stepOf = (line: Line) =>
    step(line).catch((error: unknown) => {
      runtime.log.error('a worker failed; it goes on', { handler: config.name, error: toError(error).stack })
      return restAfterDefectMs
    })

  function goOn(line: Line, restMs: number): void {
    const { owned } = line
    if (owned.closed || onStopped) return
    if (line.jobs.length === 0) {
      owned.lines.delete(line.key)
      if (owned.lines.size === 0) owned.onIdle?.()
    } else if (restMs === 0) ready.push(line)
    else rest(line, restMs)
    if (paused) owned.onIdle?.()
  }

  function rest(line: Line, restMs: number): void {
    const timer = setTimeout(() => {
      resting.delete(timer)
      ready.push(line)
      dispatch()
    }, restMs)
    resting.add(timer)
  }

  return {
    add(owned, messages) {
      const takenMs = wallMs()
      for (const message of messages) {
        const line = lineOf(owned, message)
        line.jobs.push({ line, message, takenMs, attempt: Math.max(1, message.deliveries) })
      }
      meter.taken(messages.length)
      dispatch()
    },
    pause(state) {
      paused = state
      dispatch()
    },
    halt(state) {
      halted = state
      dispatch()
    },
    async probe() {
      const line = paused || onStopped ? undefined : nextLine()
      if (line) await work(line, true)
      return line !== undefined
    },
    hold(owned, state) {
      owned.held = state
      dispatch()
    },
    isBusy: (owned) => [...owned.lines.values()].some((line) => running.has(line)),
    stop() {
      for (const timer of resting) clearTimeout(timer)
      return new Promise((resolve) => {
        onStopped = resolve
        if (running.size === 0) resolve()
      })
    },
  }
}
