import { EvtError } from '../core/errors.ts'
import { createRunClock, monotonicNs } from './clock.ts'
import { conclude } from './conclude.ts'
import type { Gate } from './gate.ts'
import { type Generator, type GeneratorLoad, openGenerator } from './generator.ts'
import { machineChange, readMachine, readMachineLoad } from './machine.ts'
import { interrupted, unlessInterrupted } from './patience.ts'
import { type BenchPlan, createWorkload, type Workload } from './plan.ts'
import type { BenchResult } from './result.ts'
import { createShared, type Shared } from './shared.ts'
import { takeStock } from './take-stock.ts'
import type { BenchTarget } from './target.ts'
import { createTracker, type Tracker } from './tracker.ts'

export interface BenchOptions {
  readonly plan: BenchPlan
  readonly gates: readonly Gate[]
  /** How long after the last event unfinished ones are waited for. */
  readonly drainTimeoutMs: number
  /** Cuts the run off; it still ends with the summary of what there was. */
  readonly signal: AbortSignal
  /** The flags that would repeat this run. */
  readonly reproduce: string
  /** For a live view: what there is right now. Called four times a second. */
  readonly onProgress?: (progress: BenchProgress) => void
}

export interface BenchProgress {
  readonly phase: 'ready' | 'load' | 'drain'
  readonly nowUs: number
  readonly workload: Workload
  readonly shared: Shared
  readonly tracker: Tracker
}

const readyWithinMs = 30_000
const probeAgainMs = 2_000
const mostProbes = 64
const progressMs = 250
const pollMs = 10

/**
 * Runs one load test and closes `target`. Everything that the target or the generator did wrong is in the result; throws
 * only when there is none: the target cannot be opened, or no handler receives anything.
 */
export async function runBench(options: BenchOptions, target: BenchTarget): Promise<BenchResult> {
  const workload = createWorkload(options.plan)
  const shared = createShared(workload.total)
  const tracker = createTracker(workload, shared, target.handlers)
  const run = createRun(options, { workload, shared, tracker })
  let generator: Generator | undefined
  try {
    await unlessInterrupted(target.open(tracker, run.clock), options.signal)
    void target.gone?.().then(run.cutOff)
    const opening = openGenerator({ plan: options.plan, buffers: shared.buffers, producer: target.producer })
    generator = await unlessInterrupted(opening, options.signal, (late) => late.close())
    await run.untilReady(generator, target.hint)
    const [machine, before] = await Promise.all([readMachine(), readMachineLoad()])
    const startedAt = new Date()
    const load = await run.load(generator)
    const change = machineChange(before, await readMachineLoad())
    await generator.close()
    const cutOffUs = run.clock()
    const { gone } = load
    const stock = await takeStock({ workload, shared, tracker, target, cutOffUs, gone, signal: options.signal })
    return conclude({
      options,
      workload,
      shared,
      tracker,
      target,
      load,
      machine,
      change,
      stock,
      cutOffUs,
      startedAt,
    })
  } finally {
    await generator?.close()
    await target.close()
  }
}

export interface RunLoad {
  /** Undefined when it was cut off before everything was sent. */
  readonly generator: GeneratorLoad | undefined
  readonly drainMs: number
  readonly backlogAgeMaxUs: number
  /** The target went away meanwhile. */
  readonly gone: EvtError | undefined
}

function createRun(options: BenchOptions, parts: Pick<BenchProgress, 'workload' | 'shared' | 'tracker'>) {
  const { workload, tracker } = parts
  const { signal } = options
  let clock = createRunClock(monotonicNs())
  let backlogAgeMaxUs = 0
  let gone: EvtError | undefined

  function tell(phase: BenchProgress['phase']): void {
    const nowUs = clock()
    if (phase !== 'ready') backlogAgeMaxUs = Math.max(backlogAgeMaxUs, tracker.oldestOpenUs(nowUs))
    options.onProgress?.({ phase, nowUs, ...parts })
  }

  /** True when `isMet`; false at the deadline or when the run is cut off. */
  async function until(isMet: () => boolean, withinMs: number, phase: BenchProgress['phase']): Promise<boolean> {
    const endUs = clock() + withinMs * 1_000
    let toldUs = Number.NEGATIVE_INFINITY
    while (!isMet()) {
      if (signal.aborted || gone || clock() >= endUs) return false
      if (clock() - toldUs >= progressMs * 1_000) {
        toldUs = clock()
        tell(phase)
      }
      await new Promise((resolve) => setTimeout(resolve, pollMs))
    }
    return true
  }

  return {
    clock: () => clock(),

    /** Ends what is waited for: the target is gone. */
    cutOff(reason: EvtError): void {
      gone = reason
    },

    /** The barrier: nothing counts before an event to each of the first keys has reached every handler. */
    async untilReady(generator: Generator, hint: string): Promise<void> {
      const count = Math.min(mostProbes, workload.plan.keys)
      const isReady = () => tracker.probes.every((seen) => seen.size >= count)
      const waiting = (async () => {
        for (let waitedMs = 0; waitedMs < readyWithinMs && !signal.aborted && !gone; waitedMs += probeAgainMs) {
          generator.probe(count)
          if (await until(isReady, probeAgainMs, 'ready')) return
        }
        throw signal.aborted ? interrupted() : (gone ?? notReady(tracker, count, hint))
      })()
      await Promise.race([waiting, generator.failure])
    },

    async load(generator: Generator): Promise<RunLoad> {
      const epochNs = monotonicNs() + 20_000_000n
      clock = createRunClock(epochNs)
      let sent: GeneratorLoad | undefined
      const sending = generator.run(epochNs).then((load) => {
        sent = load
      })
      const mostMs = workload.endMs + options.drainTimeoutMs
      const loading = (async () => {
        await until(() => sent !== undefined, mostMs + 20, 'load')
        const sentAllUs = clock()
        await until(tracker.isDrained, options.drainTimeoutMs, 'drain')
        tell('drain')
        return { generator: sent, drainMs: (clock() - sentAllUs) / 1_000, backlogAgeMaxUs, gone }
      })()
      const [load] = await Promise.race([Promise.all([loading, settledOr(sending, loading)]), generator.failure])
      return load
    },
  }
}

/** Sending may still be under way when the load is cut off; its failure counts until then. */
const settledOr = (sending: Promise<void>, loading: Promise<unknown>) => Promise.race([sending, loading])

function notReady(tracker: Tracker, count: number, hint: string): EvtError {
  const missing = tracker.handlers.filter((_, index) => (tracker.probes[index]?.size ?? 0) < count)
  const names = missing.map((book) => book.name).join(', ')
  return new EvtError(
    'timeout',
    `cannot start the load: no probe event reached ${names} within ${readyWithinMs / 1_000} s`,
    { hint },
  )
}
