import { EvtError } from '../core/errors.ts'
import type { EvtEvent } from '../core/event.ts'
import type { Session } from '../store/sessions.ts'
import { currentTracing, type Tracing } from '../watch/tracing/current.ts'
import { HopLimit } from './caused.ts'
import { AttemptContext, type Batch } from './context.ts'
import type { HandlerRuntime } from './handler-runtime.ts'
import type { Item, OwnedLane, RunTimes } from './item.ts'
import { wallMs } from './wall-clock.ts'

export type AttemptResult =
  | ({ readonly ok: true } & RunTimes)
  | ({
      readonly ok: false
      /** `interrupted`: the lane was lost or the process has to stop; the event is not to blame. */
      readonly why: 'threw' | 'timeout' | 'interrupted'
      readonly thrown: unknown
    } & RunTimes)

/** What a worker waits for, for those who have to end it from outside. */
export type Interruptible = Set<{ readonly owned: OwnedLane; readonly interrupt: (reason: unknown) => void }>

/**
 * Runs the handler once, within its time. After it returns, nothing that the handler still does reaches the
 * transaction; after `timeout` and `interrupted` the session has to be terminated, because statements may still run.
 */
export function runAttempt(runtime: HandlerRuntime, item: Item, at: AttemptPlace): Promise<AttemptResult> {
  const tracing = currentTracing()
  return tracing ? traced(tracing, { runtime, item, at }) : attempt(runtime, item, at)
}

interface AttemptPlace {
  readonly event: EvtEvent
  readonly session: Session | undefined
  readonly place: Interruptible
  /** Others run in the same transaction. */
  readonly abreast: boolean
  /** For a batch handler: the events of its call; `item` and `event` are the first of them. */
  readonly batch?: Batch
}

/** Its event carries the attempt's span: what the handler publishes is caused there. */
function traced(
  tracing: Tracing,
  { runtime, item, at }: { readonly runtime: HandlerRuntime; readonly item: Item; readonly at: AttemptPlace },
): Promise<AttemptResult> {
  const { config } = runtime
  const { topic, timeMs: recordedMs, sequencedMs } = item.message
  const events = at.batch?.events ?? [at.event]
  const facts = { handler: config.name, service: config.service, topic, attempt: item.attempt }
  return tracing.handled(
    { ...facts, events, recordedMs, sequencedMs },
    (traceparent) => attempt(runtime, item, { ...at, event: { ...at.event, traceparent } }),
    (result) => (result.ok ? undefined : result.thrown),
  )
}

async function attempt(runtime: HandlerRuntime, item: Item, at: AttemptPlace): Promise<AttemptResult> {
  const startedMs = wallMs()
  const began = performance.now()
  const { event, session, abreast, batch } = at
  const context = new AttemptContext({ runtime, item, event, session, abreast, batch })
  runtime.watchdog?.begun(runtime.config.name)
  try {
    const running = batch ? runtime.config.handleBatch(batch.events, context) : runtime.config.handle(event, context)
    if (isThenable(running)) await within(runtime, item, { work: running, ...at })
    const unfinished = AttemptContext.settled(context)
    if (unfinished) await within(runtime, item, { work: unfinished, ...at })
    AttemptContext.close(context, 'the handler has returned')
    if (session && AttemptContext.sqlError(context) !== undefined)
      await within(runtime, item, { work: heard(session), ...at })
    assertOpen(session, context)
    const runUs = (performance.now() - began) * 1000
    runtime.pace.handled(runUs)
    return { ok: true, startedMs, runUs }
  } catch (thrown) {
    const times = { startedMs, runUs: (performance.now() - began) * 1000 }
    if (thrown === timedOut) {
      const error = new EvtError(
        'timeout',
        `${runtime.config.name} did not finish within ${runtime.config.timeoutMs} ms`,
      )
      error.name = 'TimeoutError'
      AttemptContext.close(context, 'its time was over', { reason: error })
      return { ok: false, why: 'timeout', thrown: error, ...times }
    }
    if (thrown instanceof Interruption) {
      AttemptContext.close(context, 'the lane was lost or the process stops', { reason: thrown.reason })
      return { ok: false, why: 'interrupted', thrown: thrown.reason, ...times }
    }
    AttemptContext.close(context, 'the handler has failed')
    return { ok: false, why: 'threw', thrown, ...times }
  } finally {
    runtime.watchdog?.ended(runtime.config.name)
  }
}

const timedOut = Symbol('timed out')
class Interruption {
  readonly reason: unknown
  constructor(reason: unknown) {
    this.reason = reason
  }
}

interface Bounded {
  readonly work: PromiseLike<unknown>
  readonly place: Interruptible
  readonly batch?: Batch
}

/** A handler that never settles is left behind; what it throws later is nobody's. */
async function within(runtime: HandlerRuntime, item: Item, { work, place, batch }: Bounded): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const here = { owned: item.owned, interrupt: (_reason: unknown) => {} }
  place.add(here)
  // Its events may be of several lanes; the loss of any of them ends it.
  const others = batch
    ? [...new Set(batch.items.map(({ owned }) => owned))].filter((owned) => owned !== item.owned)
    : []
  const there = others.map((owned) => ({ owned, interrupt: (reason: unknown) => here.interrupt(reason) }))
  for (const one of there) place.add(one)
  try {
    await new Promise<unknown>((resolve, reject) => {
      timer = setTimeout(() => reject(timedOut), runtime.config.timeoutMs)
      here.interrupt = (reason) => reject(new Interruption(reason))
      work.then(resolve, reject)
      // Lost while the handler's first part ran, before anyone could interrupt it.
      const lost = item.owned.closed ? item.owned : others.find(({ closed }) => closed)
      if (lost) reject(new Interruption(lost.lane.lost.reason))
    })
  } finally {
    clearTimeout(timer)
    place.delete(here)
    for (const one of there) place.delete(one)
  }
}

/** The server says what became of the transaction only behind the error: who waits for one more answer has heard both. */
async function heard(session: Session): Promise<void> {
  await session.sql.query('select').catch(() => {})
}

/** A handler that swallowed an SQL error, or ended the transaction itself, has not succeeded: nothing could be committed. */
function assertOpen(session: Session | undefined, context: AttemptContext): void {
  const state = session?.state() ?? 'open'
  const sqlError = AttemptContext.sqlError(context)
  if (sqlError instanceof HopLimit) throw sqlError
  if (state === 'open') return
  if (state === 'failed' && sqlError !== undefined) throw sqlError
  const reason = state === 'failed' ? 'a statement had failed and the error was swallowed' : 'the handler ended it'
  throw new EvtError('internal', `cannot commit the handler's transaction: ${reason}`, {
    hint: 'let SQL errors through, or use a savepoint',
  })
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | undefined)?.then === 'function'
}
