import { setTimeout as delay } from 'node:timers/promises'
import type { Audit } from '../../store/audit.ts'
import { readStopped } from '../../store/breakers.ts'
import type { Store } from '../../store/connection.ts'
import { pendingOfReplay, type ReplayOutcome, replayDeadLetters, replayOutcome } from '../../store/redrive.ts'
import { replayOfHandler } from '../../store/replays.ts'
import { readSnapshot } from '../../watch/read-snapshot.ts'

export interface RedriveOrder {
  readonly ids: readonly string[]
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
  /** A group stands and is waited for. */
  onStanding(standing: Standing): void
  /** How long one that stands is waited for: a bridge that restarts, or takes over from another, is back in 10 s, the default. */
  readonly patienceMs?: number | undefined
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
const defaultPatienceMs = 10_000

/** Replays in batches at the asked rate, then waits for what the handlers do, each as long as it does something. */
export async function redrive(
  store: Store,
  order: RedriveOrder,
): Promise<{ readonly result: Redriven; readonly standing: readonly Standing[] }> {
  const replayed = await handOver(store, order)
  const { outcome, standing } = await settled(store, order)
  const left = order.signal.aborted ? 0 : order.ids.length - replayed
  const why = order.signal.aborted ? 'interrupted' : standing.map((one) => one.why).join('; ')
  const isWhy = outcome.pending > 0 && why !== ''
  const counted = { replayId: order.replayId, asked: order.ids.length, replayed, left }
  return { result: { ...counted, ...outcome, ...(isWhy ? { why } : {}) }, standing }
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

/** A group of letters that nobody takes now. */
export interface Standing {
  readonly handler: string
  readonly why: string
  /** What to type. */
  readonly remedy: string
}

interface Settled {
  readonly outcome: ReplayOutcome
  readonly standing: readonly Standing[]
}

/** Waits for each handler as long as it does something; ends when none of those that are left does. */
async function settled(store: Store, order: RedriveOrder): Promise<Settled> {
  const watch = watchGroups(order)
  let lookedMs = Number.NEGATIVE_INFINITY
  for (;;) {
    const outcome = await replayOutcome(store, order.replayId)
    order.onSettled(outcome.handled + outcome.skipped + outcome.deadAgain.reduce((sum, { count }) => sum + count, 0))
    if (outcome.pending === 0 || order.signal.aborted) return { outcome, standing: [] }
    if (performance.now() - lookedMs >= lookMs) {
      lookedMs = performance.now()
      const pending = await pendingOfReplay(store, order.replayId)
      const standing = watch(pending, await whoStands(store))
      if (pending.size > 0 && standing.length === pending.size) return { outcome, standing }
    }
    await until(performance.now() + pollMs, order.signal)
  }
}

type WhyStanding = (handler: string) => (Standing & { readonly isAbsent: boolean }) | undefined

/** Which groups have stood for too long: at once those of a handler that never ran, and the others when nothing became of them for a while. */
function watchGroups({ patienceMs = defaultPatienceMs, onStanding }: RedriveOrder) {
  const groups = new Map<string, { left: number; sinceMs: number; hasRun: boolean; said?: string }>()
  return (pending: ReadonlyMap<string, number>, whyOf: WhyStanding): readonly Standing[] => {
    const nowMs = performance.now()
    const standing: Standing[] = []
    for (const [handler, left] of pending) {
      const group = groups.get(handler) ?? { left, sinceMs: nowMs, hasRun: false }
      groups.set(handler, group)
      const why = whyOf(handler)
      if (!why || left !== group.left) Object.assign(group, { left, sinceMs: nowMs })
      if (!why?.isAbsent) group.hasRun = true
      if (!why) continue
      if (nowMs - group.sinceMs >= patienceMs || (why.isAbsent && !group.hasRun)) standing.push(why)
      else if (group.said !== why.why) onStanding(why)
      group.said = why.why
    }
    return standing
  }
}

async function whoStands(store: Store): Promise<WhyStanding> {
  const runs = await whoRuns(store)
  const { broken, paused } = await readStopped(store)
  return (handler) => {
    const replayId = replayOfHandler(handler)
    const remedy = replayId === undefined ? 'start one with `evt up`' : `run \`evt replay resume ${replayId}\``
    if (!runs(handler)) return { handler, why: `no running bridge has ${handler}`, remedy, isAbsent: true }
    const goOn = `\`evt handlers resume ${handler}\` lets it go on`
    if (broken.has(handler)) return { handler, why: `the breaker of ${handler} is open`, remedy: goOn, isAbsent: false }
    if (paused.has(handler)) return { handler, why: `${handler} is paused`, remedy: goOn, isAbsent: false }
    return undefined
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
