import type { NewEvent } from '../../core/event.ts'
import { createHistogram, type Histogram } from '../../core/histogram.ts'

/** `data` of `performance.phase.start`, `performance.phase.complete` and `performance.operation.complete`. */
export interface PerformanceData {
  readonly contextId: string
  readonly operation: string
  readonly phase?: string
  readonly fieldPath?: string
  readonly durationMs: number
  readonly status: 'started' | 'completed' | 'failed'
  /** Of this process: CPU time since the phase began, memory at its end. */
  readonly resourceUsage?: { readonly cpuMs: number; readonly rssBytes: number; readonly heapBytes: number }
}

export interface CoordinatorOptions {
  /** A bus's `publish`, a publisher's `send`: whatever becomes of the event, the work goes on. */
  readonly publish: (event: NewEvent<PerformanceData>) => unknown
  /** What could not be published. */
  readonly onError?: (error: unknown) => void
}

export interface PhaseOptions {
  readonly operation: string
  /** What is worked on: the subject of its events, and what they have in common. */
  readonly contextId: string
  readonly fieldPath?: string
}

export interface PhaseTimes {
  readonly phase: string
  readonly completed: number
  readonly failed: number
  /** Milliseconds; undefined without one that ended. */
  readonly p50Ms: number | undefined
  readonly p95Ms: number | undefined
  readonly maxMs: number | undefined
}

export interface PerformanceCoordinator {
  /** Runs `work` as a phase, told before and after; gives what it gives, throws what it throws. */
  phase<T>(phase: string, options: PhaseOptions, work: () => T | Promise<T>): Promise<T>
  /** The same for a whole operation, told at its end. */
  operation<T>(options: PhaseOptions, work: () => T | Promise<T>): Promise<T>
  /** Of this process, by phase, operations as `operation NAME`. */
  times(): readonly PhaseTimes[]
}

/** More names share one: a name may be made of data. */
const mostPhases = 200

/** Publishes how long phases of work take, as events. Publishing never breaks the work. */
export function createPerformanceCoordinator({
  publish,
  onError = () => {},
}: CoordinatorOptions): PerformanceCoordinator {
  const all = new Map<string, { readonly histogram: Histogram; failed: number }>()

  function tell(type: string, data: PerformanceData): void {
    const event = { type, subject: data.contextId, correlationId: data.contextId, data }
    // Also a publisher that throws where it should reject.
    void (async () => publish(event))().catch(onError)
  }

  function note(name: string, durationMs: number, ok: boolean): void {
    const key = all.has(name) || all.size < mostPhases ? name : 'other'
    const known = all.get(key) ?? { histogram: createHistogram(), failed: 0 }
    all.set(key, known)
    known.histogram.record(durationMs * 1000)
    if (!ok) known.failed += 1
  }

  async function timed<T>(name: string, end: (done: Ended) => void, work: () => T | Promise<T>): Promise<T> {
    const began = performance.now()
    const cpu = process.cpuUsage()
    const ended = (status: 'completed' | 'failed') => {
      const durationMs = performance.now() - began
      const { user, system } = process.cpuUsage(cpu)
      const { rss, heapUsed } = process.memoryUsage()
      note(name, durationMs, status === 'completed')
      end({ status, durationMs, resourceUsage: { cpuMs: (user + system) / 1000, rssBytes: rss, heapBytes: heapUsed } })
    }
    try {
      const result = await work()
      ended('completed')
      return result
    } catch (thrown) {
      ended('failed')
      throw thrown
    }
  }

  return {
    phase(phase, options, work) {
      tell('performance.phase.start', { ...options, phase, durationMs: 0, status: 'started' })
      return timed(phase, (done) => tell('performance.phase.complete', { ...options, phase, ...done }), work)
    },
    operation: (options, work) =>
      timed(
        `operation ${options.operation}`,
        (done) => tell('performance.operation.complete', { ...options, ...done }),
        work,
      ),
    times: () =>
      [...all].map(([phase, { histogram, failed }]) => ({
        phase,
        completed: histogram.count - failed,
        failed,
        p50Ms: inMs(histogram.percentile(0.5)),
        p95Ms: inMs(histogram.percentile(0.95)),
        maxMs: inMs(histogram.max),
      })),
  }
}

type Ended = Required<Pick<PerformanceData, 'durationMs' | 'resourceUsage'>> & {
  readonly status: 'completed' | 'failed'
}

const inMs = (us: number | undefined) => (us === undefined ? undefined : us / 1000)
