import { createHistogram, decodeHistogram, type Histogram } from '../core/histogram.ts'
import type { HandlerSample, InstanceSample, Snapshot } from './snapshot.ts'

/** What one handler did between two snapshots, over all bridges. Histograms are added, percentiles never averaged. */
export interface HandlerWindow {
  readonly handler: string
  readonly group: string
  readonly handled: number
  readonly failed: number
  readonly dead: number
  readonly skipped: number
  readonly inFlight: number
  readonly queued: number
  readonly paused: boolean
  /** Its circuit breaker is open. */
  readonly broken: boolean
  readonly health: HandlerSample['health']
  readonly lastError: string | undefined
  /** Microseconds: run time of one attempt, and committed to handled. */
  readonly runTime: Histogram
  readonly endToEnd: Histogram
}

export const stageNames = ['relay', 'deliver', 'queue', 'handle'] as const
export type StageName = (typeof stageNames)[number]

export interface Window {
  readonly seconds: number
  readonly sequenced: number
  readonly handlers: readonly HandlerWindow[]
  readonly stages: Readonly<Record<StageName, Histogram>>
}

const healthOrder = ['healthy', 'degraded', 'failing'] as const

/** Counters start again when a process does: then everything it says happened since. */
function before(earlier: Snapshot | undefined, now: InstanceSample): InstanceSample | undefined {
  return earlier?.instances.find((then) => then.instance === now.instance && then.startedAt === now.startedAt)
}

function since(later: string, earlier: string | undefined): Histogram {
  const now = decodeHistogram(later)
  return earlier === undefined ? now : now.subtract(decodeHistogram(earlier))
}

function windowOf(now: HandlerSample, then: HandlerSample | undefined): HandlerWindow {
  return {
    handler: now.handler,
    group: now.group,
    handled: now.handled - (then?.handled ?? 0),
    failed: now.failed - (then?.failed ?? 0),
    dead: now.dead - (then?.dead ?? 0),
    skipped: now.skipped - (then?.skipped ?? 0),
    inFlight: now.inFlight,
    queued: now.queued,
    paused: now.paused,
    broken: now.broken ?? false,
    health: now.health,
    lastError: now.lastError,
    runTime: since(now.runTime, then?.runTime),
    endToEnd: since(now.endToEnd, then?.endToEnd),
  }
}

function merged(a: HandlerWindow, b: HandlerWindow): HandlerWindow {
  const worse = healthOrder.indexOf(a.health) >= healthOrder.indexOf(b.health) ? a : b
  return {
    handler: a.handler,
    group: a.group,
    handled: a.handled + b.handled,
    failed: a.failed + b.failed,
    dead: a.dead + b.dead,
    skipped: a.skipped + b.skipped,
    inFlight: a.inFlight + b.inFlight,
    queued: a.queued + b.queued,
    paused: a.paused || b.paused,
    broken: a.broken || b.broken,
    health: worse.health,
    lastError: worse.lastError ?? a.lastError ?? b.lastError,
    runTime: added([a.runTime, b.runTime]),
    endToEnd: added([a.endToEnd, b.endToEnd]),
  }
}

function added(parts: readonly Histogram[]): Histogram {
  const sum = createHistogram()
  for (const part of parts) sum.add(part)
  return sum
}

/**
 * What happened between two snapshots of one store, exactly. Without `earlier`: since each process started, and
 * `seconds` is then the age of the oldest one alive.
 */
export function windowBetween(earlier: Snapshot | undefined, later: Snapshot): Window {
  const handlers = new Map<string, HandlerWindow>()
  for (const instance of later.instances) {
    const then = before(earlier, instance)
    for (const sample of instance.handlers) {
      const one = windowOf(
        sample,
        then?.handlers.find((known) => known.handler === sample.handler),
      )
      const other = handlers.get(sample.handler)
      handlers.set(sample.handler, other ? merged(other, one) : one)
    }
  }
  const stage = (name: StageName) =>
    added(later.instances.map((instance) => since(instance.stages[name], before(earlier, instance)?.stages[name])))
  return {
    seconds: secondsBetween(earlier, later),
    sequenced: sum(later.instances.map((instance) => instance.sequenced - (before(earlier, instance)?.sequenced ?? 0))),
    handlers: [...handlers.values()].sort((a, b) => (a.handler < b.handler ? -1 : 1)),
    stages: { relay: stage('relay'), deliver: stage('deliver'), queue: stage('queue'), handle: stage('handle') },
  }
}

/** How far what the bridges alive say has moved between two snapshots, ms: they say it once a second, whenever it is read. */
function beatsBetween(earlier: Snapshot, later: Snapshot): readonly number[] {
  return later.instances
    .filter((now) => now.alive)
    .flatMap((now) => {
      const then = before(earlier, now)
      return then ? [later.clockMs - now.ageMs - (earlier.clockMs - then.ageMs)] : []
    })
}

/** Less is the noise of two clocks. */
const leastBeatMs = 100

/** False when every bridge alive repeats what it said before: then nothing is known of the time between. */
export function heardBetween(earlier: Snapshot, later: Snapshot): boolean {
  const beats = beatsBetween(earlier, later)
  return beats.length === 0 || beats.some((ms) => ms >= leastBeatMs)
}

function secondsBetween(earlier: Snapshot | undefined, later: Snapshot): number {
  if (earlier) {
    const beats = beatsBetween(earlier, later).filter((ms) => ms >= leastBeatMs)
    const ms = beats.length > 0 ? sum(beats) / beats.length : later.clockMs - earlier.clockMs
    return Math.max(0.001, ms / 1000)
  }
  const started = later.instances.filter((instance) => instance.alive).map((instance) => Date.parse(instance.startedAt))
  return started.length === 0 ? 1 : Math.max(1, (Date.parse(later.takenAt) - Math.min(...started)) / 1000)
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0)
