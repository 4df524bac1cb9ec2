import { EvtError } from '../core/errors.ts'
import type { AttemptRecord } from '../store/attempts.ts'
import {
  markStarted,
  markWaiting,
  postponeDelivery,
  readDelivery,
  readQueue,
  type StoredDelivery,
} from '../store/deliveries.ts'
import { advanceSubject } from '../store/parked.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import type { Interruptible } from './attempt.ts'
import type { HandlerRuntime } from './handler-runtime.ts'
import { type DueJob, type Entry, type Item, isResting, type OwnedLane } from './item.ts'
import { loadKeys } from './load-keys.ts'
import { planEntries } from './plan.ts'
import { type ReadLogged, rebuildItems } from './rebuild-item.ts'
import { lockWaitMs } from './run-chunk.ts'
import { noteFailure, workOffEntries } from './work-off.ts'

/** Deliveries of one subject that share a transaction when nothing of them failed yet. */
const batchSize = 100
/** A job that comes a little early is not sent away. */
const earlyMs = 20

export interface JobContext {
  readonly owned: OwnedLane
  readonly place: Interruptible
  readonly readLogged: ReadLogged
}

/** Runs what is due: a retry on its own; behind a success, what waited, in order. Never throws. */
export async function workOffJob(runtime: HandlerRuntime, job: DueJob, at: JobContext): Promise<void> {
  try {
    const started = await start(runtime, job, at)
    if (!started) return
    const { items } = started
    const loading = loadKeys(runtime, items)
    if (loading && !(await loading)) return
    const entries = started.spent ? items.map((item) => giveUp(runtime, item)) : planJob(runtime, items)
    runtime.meter.taken(items.length)
    runtime.meter.started(items.length)
    const again = await workOffEntries(runtime, entries, at.place).finally(() => runtime.meter.finished(items.length))
    if (isResting(at.owned)) await takeBack(runtime, again)
  } catch (error) {
    // The store has the delivery; it is due again at the next look.
    if (error instanceof EvtError && error.code === 'fenced') return
    runtime.log.warn('cannot run what is due; trying again', { handler: runtime.config.name, error: String(error) })
    await runtime.storeIsBack()
  }
}

/** Attempts that could not be made, because the lane rests, do not count. */
async function takeBack(runtime: HandlerRuntime, items: readonly Item[]): Promise<void> {
  const [head, ...others] = items.flatMap(({ stored }) => stored ?? [])
  if (!head) return
  await runtime.store.transaction(async (sql) => {
    await postponeDelivery(sql, head.id, { attempts: head.attempts - 1, errors: head.errors, delayMs: 0 })
    await markWaiting(
      sql,
      others.map(({ id }) => id),
    )
  })
}

/** What comes after an entry that cannot run waits for its turn: a queue has one head. */
function planJob(runtime: HandlerRuntime, items: readonly Item[]): Entry[] {
  const entries = planEntries(runtime, items)
  const stop = entries.findIndex((entry) => entry.kind !== 'run')
  return entries.map((entry, at) => (stop < 0 || at <= stop ? entry : { kind: 'wait', item: entry.item }))
}

interface Started {
  readonly items: readonly Item[]
  /** All attempts were made, and the process ended in the last one. */
  readonly spent: boolean
}

/** Finds what the job is about and notes, durably, that attempts begin. Undefined when there is nothing to run now. */
async function start(runtime: HandlerRuntime, job: DueJob, at: JobContext): Promise<Started | undefined> {
  const { owned } = at
  return runtime.store.transaction(async (sql) => {
    await sql.query(`set local synchronous_commit = off; set local lock_timeout = ${lockWaitMs}`)
    await runtime.transport.settleIn?.(sql, [{ lane: owned.lane, done: [] }])
    const ready =
      'id' in job ? await readSingle(sql, job.id) : await readHead(runtime, sql, { subject: job.subject, owned })
    const first = ready?.[0]
    if (!ready || !first) return undefined
    if (ready.length > 1) {
      const items = await rebuildItems(
        ready.map((delivery) => ({ ...delivery, attempts: 1 })),
        at,
      )
      await markStarted(sql, ready, { instance: runtime.instance, attempts: 0 })
      return { items, spent: false }
    }
    const known = withEnded(runtime, first)
    if (known.abandoned && known.attempts >= runtime.config.attempts)
      return { items: await rebuildItems([known], at), spent: true }
    const attempts = known.attempts + 1
    // Before the mark: an event that cannot be read now must not look as if its attempt had ended the process.
    const items = await rebuildItems([{ ...known, attempts }], at)
    await markStarted(sql, [known], { instance: runtime.instance, attempts })
    return { items, spent: false }
  })
}

/** With the attempt in which the process ended; in a batch that was the first one, which is not counted beforehand. */
function withEnded(runtime: HandlerRuntime, delivery: StoredDelivery): StoredDelivery {
  if (!delivery.abandoned) return delivery
  const attempts = Math.max(delivery.attempts, 1)
  const ended: AttemptRecord = {
    attempt: attempts,
    at: new Date().toISOString(),
    durationMs: 0,
    class: 'ProcessEnded',
    message: 'the process ended while the handler ran',
    instance: delivery.instance ?? runtime.instance,
  }
  return { ...delivery, attempts, errors: [...delivery.errors, ended] }
}

async function readSingle(sql: SqlExecutor, id: string): Promise<readonly StoredDelivery[] | undefined> {
  const delivery = await readDelivery(sql, id)
  const isDue = delivery?.dueInMs !== undefined && delivery.dueInMs <= earlyMs && delivery.heldFor === undefined
  return isDue ? [delivery] : undefined
}

/** The head of the queue; with it those behind, when none of them was ever tried. */
async function readHead(
  runtime: HandlerRuntime,
  sql: SqlExecutor,
  at: { readonly subject: string; readonly owned: OwnedLane },
): Promise<readonly StoredDelivery[] | undefined> {
  const { subject, owned } = at
  const advanced = await advanceSubject(sql, runtime.config.name, subject)
  if (advanced === 'flowing') owned.parked.delete(subject)
  else owned.parked.add(subject)
  if (advanced !== 'waiting') return undefined
  const queue = await readQueue(sql, { handler: runtime.config.name, subject }, batchSize)
  const [head] = queue
  if (!head || head.dueInMs === undefined || head.dueInMs > earlyMs) {
    // A place further back was due: the head was put before it by a replay. It waits for its turn.
    await markWaiting(
      sql,
      queue.slice(1).flatMap((one) => (one.dueInMs === undefined ? [] : [one.id])),
    )
    if (head?.dueInMs !== undefined) runtime.schedule(owned, { subject }, head.dueInMs)
    return undefined
  }
  const isNew = (one: StoredDelivery) => one.attempts === 0 && !one.abandoned && one.heldFor === undefined
  const end = queue.findIndex((one) => !isNew(one))
  const fresh = queue.slice(0, end < 0 ? queue.length : end)
  return fresh.length > 1 && runtime.config.transaction === 'batch' ? fresh : [head]
}

/** The record of the attempt in which the process ended is the last word. */
function giveUp(runtime: HandlerRuntime, item: Item): Entry {
  const record = item.errors.at(-1) as AttemptRecord
  item.errors = item.errors.slice(0, -1)
  const failed = { kind: 'failed', item, failure: { record, hopeless: 'process-ended' } } as const
  noteFailure(runtime, failed)
  return failed
}
