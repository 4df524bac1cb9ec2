import { EvtError, toError } from '../core/errors.ts'
import type { Interruptible } from './attempt.ts'
import { factsOf } from './failure.ts'
import type { HandlerRuntime } from './handler-runtime.ts'
import { closeLane, type Entry, type Item, isResting } from './item.ts'
import { noteCommitted } from './item-results.ts'
import { loadKeys } from './load-keys.ts'
import { breakerKeyOf, failureOf, planEntries, queueOf } from './plan.ts'
import { progressOf } from './progress.ts'
import { type ChunkOutcome, runChunk } from './run-chunk.ts'
import { settle } from './settle.ts'
import { wallMs } from './wall-clock.ts'

/** Free attempts after a serialization failure or a deadlock; then it is the event's failure. */
const mostSpoiled = 5
/** An event that loses its connection this often in a row, while the store answers, is what breaks it. */
const mostOutages = 10
/** A lane with events that somebody else is in the middle of is left alone for a while; the others go on. */
const restMs = 3000

/**
 * Works items off until each is handled, recognised, stored for later, dead, or no longer ours. Never throws. What it
 * leaves undone belongs to a lost lane or to a process that stops, and comes again elsewhere.
 */
export async function workOff(runtime: HandlerRuntime, items: readonly Item[], place: Interruptible): Promise<void> {
  const step = runtime.config.transaction === 'event' ? 1 : items.length
  const resting: Item[] = []
  const rest = [...items]
  while (rest.length > 0 && !runtime.forced.aborted) {
    const now: Item[] = []
    while (rest.length > 0 && now.length < step) {
      const item = rest.shift() as Item
      if (isResting(item.owned)) resting.push(item)
      else if (!item.owned.closed) now.push(item)
    }
    const loading = loadKeys(runtime, now)
    if (loading && !(await loading)) return
    rest.unshift(...(await workOffEntries(runtime, planEntries(runtime, now), place)))
    // The breaker has opened: what has not begun waits.
    if (runtime.breaker.isOpen) resting.push(...rest.splice(0))
  }
  putBack(runtime, resting)
}

/** Before what came later, in the lane's order. */
function putBack(runtime: HandlerRuntime, items: readonly Item[]): void {
  for (const [owned, own] of Map.groupBy(items, (item) => item.owned)) {
    if (owned.closed) continue
    owned.buffer.unshift(...own)
    runtime.meter.taken(own.length)
  }
}

/** Returns what has to be planned anew, because something before it in its order has changed or its lane rests. */
export async function workOffEntries(
  runtime: HandlerRuntime,
  entries: readonly Entry[],
  place: Interruptible,
): Promise<Item[]> {
  for (let width = entries.length > 1 && runtime.config.batch === 1 ? runtime.pace.width() : 1; ; ) {
    if (entries.length === 0 || runtime.forced.aborted) return []
    const outcome = await runChunk(runtime, entries, { place, width })
    const itemAt = 'at' in outcome && outcome.at !== undefined ? entries[outcome.at]?.item : undefined
    switch (outcome.kind) {
      case 'committed':
        await commit(runtime, entries, outcome)
        return []
      case 'stopped':
        return []
      case 'crowded':
        runtime.pace.narrow()
        width = 1
        break
      case 'halve':
        return halves(runtime, entries, { failed: outcome, place })
      case 'failed':
        return afterFailure(runtime, { entries, at: outcome.at, failed: outcome.entry, place })
      case 'outage':
        await runtime.storeIsBack()
        if (itemAt && ++itemAt.spoiled >= mostOutages && !isSeveral(entries))
          return giveBlame(runtime, { item: itemAt, thrown: outcome.thrown, place })
        if (itemAt && itemAt.spoiled > 2 && isSeveral(entries)) return singly(runtime, entries, place)
        break
      case 'spoiled':
        if (isSeveral(entries)) return singly(runtime, entries, place)
        if (itemAt && ++itemAt.spoiled > mostSpoiled)
          return giveBlame(runtime, { item: itemAt, thrown: outcome.thrown, place })
        break
      case 'blocked':
        // What an attempt came to is kept until it is written down.
        if (!entries.some(({ kind }) => kind === 'failed')) return afterBlock(runtime, entries, place)
        await runtime.storeIsBack()
        break
      case 'refused':
        if (isSeveral(entries)) return singly(runtime, entries, place)
        return refused(runtime, { entry: entries[0] as Entry, thrown: outcome.thrown, place })
      case 'fenced':
        return afterFence(runtime, entries, place)
    }
  }
}

/** More than one whose attempts share the transaction. */
const isSeveral = (entries: readonly Entry[]) =>
  entries.length > 1 && entries.some((entry, at) => at > 0 && entry.kind !== 'wait')

async function commit(
  runtime: HandlerRuntime,
  entries: readonly Entry[],
  outcome: Extract<ChunkOutcome, { kind: 'committed' }>,
): Promise<void> {
  for (const apply of outcome.after) apply()
  runtime.unwritten.done(entries)
  await Promise.all(
    progressOf(entries).map(({ lane, done }) => (done.length > 0 ? settle(runtime, lane, done) : undefined)),
  )
  const now = wallMs()
  const us = (from: number | undefined, to: number) =>
    from === undefined ? undefined : Math.max(0, (to - from) * 1000)
  for (const { item, times } of outcome.runs) {
    const { message, takenMs, attempt } = item
    const { startedMs, runUs } = times
    const spent = {
      runUs,
      endToEndUs: us(message.timeMs, now),
      relayUs: message.sequencedMs === undefined ? undefined : us(message.timeMs, message.sequencedMs),
      deliverUs: us(message.sequencedMs, takenMs),
      queueUs: Math.max(0, (startedMs - takenMs) * 1000),
      handleUs: Math.max(0, (now - startedMs) * 1000),
    }
    runtime.meter.handled(spent, message.headers['ce-type'])
    if (attempt > 1) runtime.meter.retried()
  }
  if (outcome.skipped.size > 0) runtime.meter.skipped(outcome.skipped.size)
  if (runtime.results) noteCommitted(runtime, outcome)
  if (outcome.runs.length === 0) return
  const { breaker } = runtime
  breaker.succeeded(breaker.isCounting ? outcome.runs.map(({ item }) => breakerKeyOf(item)) : [])
  runtime.outcomes(outcome.runs.length, 0)
}

interface Failed {
  readonly entries: readonly Entry[]
  readonly at: number
  readonly failed: Extract<Entry, { kind: 'failed' }>
  readonly place: Interruptible
}

/** What was before it runs again and commits together with the note of the failure; what is after it is planned anew. */
async function afterFailure(runtime: HandlerRuntime, { entries, at, failed, place }: Failed): Promise<Item[]> {
  noteFailure(runtime, failed)
  const later = entries.slice(at + 1).map((entry) => entry.item)
  // A queue of the store waits for its head; events of a lane go on, unless their subject is parked now.
  const waiting = failed.item.stored ? later.map((item): Entry => ({ kind: 'wait', item })) : []
  const again = await workOffEntries(runtime, [...entries.slice(0, at), failed, ...waiting], place)
  return failed.item.stored ? again.filter((item) => !item.stored) : [...again, ...later]
}

export function noteFailure(runtime: HandlerRuntime, { item, failure }: Extract<Entry, { kind: 'failed' }>): void {
  const { class: name, message, attempt } = failure.record
  runtime.meter.failed(`${name}: ${message.slice(0, 200)}`, item.message.headers['ce-type'])
  if (attempt > 1) runtime.meter.retried()
  runtime.outcomes(0, 1)
  // Letters that are handed over together must not stop what is live.
  const isRedriven = item.stored?.redrive !== undefined
  if (failure.hopeless === undefined && !isRedriven)
    runtime.breaker.failed(breakerKeyOf(item), `${name}: ${message.slice(0, 200)}`)
  runtime.log.debug('an attempt failed', {
    handler: runtime.config.name,
    event: item.message.id,
    attempt,
    error: `${name}: ${message}`,
  })
}

/** The first half is done with, whatever becomes of it, before the second one is planned. */
async function halves(
  runtime: HandlerRuntime,
  entries: readonly Entry[],
  { failed, place }: { readonly failed: Extract<ChunkOutcome, { kind: 'halve' }>; readonly place: Interruptible },
): Promise<Item[]> {
  const { class: name, message } = entries.reduce(
    (facts, { item }) => runtime.preparer.discreet(facts, item.prepared),
    factsOf(failed.thrown),
  )
  const error = `${name}: ${message.slice(0, 200)}`
  runtime.meter.failed(error)
  runtime.log.warn('a batch failed; it is tried in halves', {
    handler: runtime.config.name,
    events: failed.events,
    error,
  })
  const runs = entries.filter(({ kind }) => kind === 'run')
  const cut = entries.indexOf(runs[Math.ceil(runs.length / 2)] as Entry)
  const [first, second] = [entries.slice(0, cut), entries.slice(cut)]
  if (entries[0]?.item.stored)
    return workOffEntries(runtime, [...first, ...second.map(({ item }): Entry => ({ kind: 'wait', item }))], place)
  return [...(await workOffEntries(runtime, first, place)), ...second.map(({ item }) => item)]
}

async function singly(runtime: HandlerRuntime, entries: readonly Entry[], place: Interruptible): Promise<Item[]> {
  const [first] = entries
  if (first?.item.stored) {
    const waiting = entries.slice(1).map(({ item }): Entry => ({ kind: 'wait', item }))
    return workOffEntries(runtime, [first, ...waiting], place)
  }
  for (const [at, entry] of entries.entries()) {
    const again = await workOffEntries(runtime, [entry], place)
    // Something has changed: what was planned for the others may not hold any more.
    const later = entries.slice(at + 1)
    if (again.length > 0 || entry.kind !== 'run' || isParkedNow(runtime, entry))
      return [...again, ...later.map(({ item }) => item)]
  }
  return []
}

function isParkedNow(runtime: HandlerRuntime, { item }: Entry): boolean {
  const queue = queueOf(runtime, item)
  return queue !== null && item.owned.parked.has(queue)
}

async function giveBlame(
  runtime: HandlerRuntime,
  { item, thrown, place }: { readonly item: Item; readonly thrown: unknown; readonly place: Interruptible },
): Promise<Item[]> {
  const failed: Entry = {
    kind: 'failed',
    item,
    failure: failureOf(runtime, item, { thrown, startedMs: wallMs(), runUs: 0 }),
  }
  return afterFailure(runtime, { entries: [failed], at: 0, failed, place })
}

/**
 * A commit that a deferred constraint refused is the handler's failure, and what is too long for an index of the store is the event's; anything
 * else is a defect of ours, or of a migration, and said so while it lasts.
 */
async function refused(
  runtime: HandlerRuntime,
  { entry, thrown, place }: { readonly entry: Entry; readonly thrown: unknown; readonly place: Interruptible },
): Promise<Item[]> {
  const isHopeless = entry.kind === 'failed' && entry.failure.hopeless !== undefined
  if (entry.kind === 'run' || (isTooLong(thrown) && !isHopeless))
    return giveBlame(runtime, { item: entry.item, thrown, place })
  runtime.unwritten.refused(entry.item, toError(thrown).message)
  runtime.log.error('cannot store what became of an event', {
    handler: runtime.config.name,
    event: entry.item.message.id,
    error: String(thrown),
  })
  await runtime.storeIsBack()
  return [entry.item]
}

/** program_limit_exceeded: no index row may be that long. */
const isTooLong = (thrown: unknown) => factsOf(thrown).code === '54000'

/** Which lane is blocked is found out by trying each on its own. */
async function afterBlock(runtime: HandlerRuntime, entries: readonly Entry[], place: Interruptible): Promise<Item[]> {
  const lanes = Map.groupBy(entries, ({ item }) => item.owned)
  const again: Item[] = []
  if (lanes.size > 1) {
    for (const own of lanes.values()) again.push(...(await workOffEntries(runtime, own, place)))
    return again
  }
  for (const owned of lanes.keys()) {
    owned.restsUntilMs = performance.now() + restMs
    const facts = { handler: runtime.config.name, lane: owned.lane.id }
    runtime.log.warn('events of a lane are locked by another transaction; trying again', facts)
  }
  return entries.map(({ item }) => item)
}

/** Which lane was lost is told by the lane, or found out by trying each on its own. */
async function afterFence(runtime: HandlerRuntime, entries: readonly Entry[], place: Interruptible): Promise<Item[]> {
  const kept = entries.filter(({ item }) => !item.owned.closed && !item.owned.lane.lost.aborted)
  const lanes = Map.groupBy(kept, ({ item }) => item.owned)
  if (kept.length < entries.length) return workOffEntries(runtime, kept, place)
  if (lanes.size === 1) {
    const [owned] = lanes.keys()
    runtime.log.warn('a lane was taken away', {
      handler: runtime.config.name,
      lane: owned?.lane.id,
      error: new EvtError('fenced', 'no longer the owner').message,
    })
    if (owned) {
      closeLane(owned, runtime.meter)
      void owned.lane.release().catch(() => {})
    }
    return []
  }
  const again: Item[] = []
  for (const own of lanes.values()) again.push(...(await workOffEntries(runtime, own, place)))
  return again
}
