import { setTimeout as delay } from 'node:timers/promises'
import type { Audit } from '../../store/audit.ts'
import type { Store } from '../../store/connection.ts'
import { type ReplayOutcome, replayDeadLetters, replayOutcome } from '../../store/redrive.ts'
import { readSnapshot } from '../../watch/read-snapshot.ts'

export interface RedriveOrder {
  readonly ids: readonly string[]
  /** Those that must run for the outcome to be known. */
  readonly handlers: readonly string[]
  readonly replayId: string
  readonly by: string
  readonly reason?: string | undefined
  readonly audit: Audit
  readonly maxReplays: number
  /** Dead letters a second. */
  readonly rate?: number | undefined
  /** Ends the replay between two batches, and the wait. */
  readonly signal: AbortSignal
  onSettled(count: number): void
}

/** What became of a replay. */
export interface Redriven extends ReplayOutcome {
  readonly replayId: string
  readonly asked: number
  readonly replayed: number
  /** No longer open when their turn came. */
  readonly left: number
  /** Why `pending` is not 0 at the end. */
  readonly why?: string
}

const largestBatch = 100
const pollMs = 200
const lookMs = 1_000
/** A bridge that restarts, or takes over from another, is back by then. */
const patienceMs = 10_000

/** Replays in batches at the asked rate, then waits for what the handlers do, as long as they run. */
export async function redrive(store: Store, order: RedriveOrder): Promise<Redriven> {
  const replayed = await handOver(store, order)
  const { outcome, why } = await settled(store, order)
  const left = order.signal.aborted ? 0 : order.ids.length - replayed
  return { replayId: order.replayId, asked: order.ids.length, replayed, left, ...outcome, ...(why ? { why } : {}) }
}

async function handOver(store: Store, order: RedriveOrder): Promise<number> {
  const { ids, replayId, by, reason, audit, maxReplays, rate, signal } = order
  const batch = Math.min(largestBatch, Math.max(1, Math.floor((rate ?? Number.POSITIVE_INFINITY) / 4)))
  const startedMs = performance.now()
  let replayed = 0
  for (let at = 0; at < ids.length && !signal.aborted; at += batch) {
    if (rate) await until(startedMs + (at * 1000) / rate, signal)
    if (signal.aborted) break
    const request = { ids: ids.slice(at, at + batch), replayId, by, audit, maxReplays, ...(reason ? { reason } : {}) }
    replayed += (await replayDeadLetters(store, request)).replayed.length
  }
  return replayed
}

async function settled(store: Store, order: RedriveOrder): Promise<{ outcome: ReplayOutcome; why?: string }> {
  let seenMs = performance.now() - patienceMs
  let lookedMs = Number.NEGATIVE_INFINITY
  for (;;) {
    const outcome = await replayOutcome(store, order.replayId)
    order.onSettled(outcome.handled + outcome.skipped + outcome.deadAgain.reduce((sum, { count }) => sum + count, 0))
    if (outcome.pending === 0) return { outcome }
    if (order.signal.aborted) return { outcome, why: 'interrupted' }
    if (performance.now() - lookedMs >= lookMs) {
      lookedMs = performance.now()
      const runs = await whoRuns(store)
      const missing = order.handlers.filter((handler) => !runs(handler))
      if (missing.length === 0) seenMs = performance.now()
      else if (performance.now() - seenMs > patienceMs)
        return { outcome, why: `no running bridge has ${missing.join(', ')}` }
    }
    await until(performance.now() + pollMs, order.signal)
  }
}

/** Also who gave up what never came to a handler: sinks and sources, and publishers, for whom every relay publishes again. */
async function whoRuns(store: Store): Promise<(by: string) => boolean> {
  const { instances } = await readSnapshot(store)
  const alive = instances.filter((instance) => instance.alive)
  const known = new Set(
    alive.flatMap(({ handlers, sinks = [], sources = [] }) => [
      ...handlers.map(({ handler }) => handler),
      ...sinks.map(({ sink }) => `sink:${sink}`),
      ...sources.map(({ source }) => `source:${source}`),
    ]),
  )
  const hasRelay = alive.some(({ roles }) => roles.includes('relay'))
  return (by) => known.has(by) || (hasRelay && by.startsWith('publisher:'))
}

/** Ends early, without an error, when `signal` aborts. */
async function until(atMs: number, signal: AbortSignal): Promise<void> {
  const ms = atMs - performance.now()
  if (ms > 0) await delay(ms, undefined, { signal }).catch(() => {})
}
