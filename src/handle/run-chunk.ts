import { EvtError, toError } from '../core/errors.ts'
import { settlesWithin } from '../store/close-within.ts'
import { isOutage } from '../store/errors.ts'
import { dayOf, enterInbox } from '../store/inbox.ts'
import type { Session } from '../store/sessions.ts'
import { type Interruptible, runAttempt } from './attempt.ts'
import { classify } from './classify.ts'
import { factsOf } from './failure.ts'
import type { HandlerRuntime } from './handler-runtime.ts'
import type { Entry, Item } from './item.ts'
import { failureOf } from './plan.ts'
import { progressOf } from './progress.ts'
import { callBatch, runBatch } from './run-batch.ts'
import { type Run, runEntries, type Unsuccessful } from './run-entries.ts'
import { type AfterCommit, type ChunkWrites, writeEntries } from './write-entries.ts'

/** How long evt's own statements wait for a lock: the other lanes of the worker wait with them. */
export const lockWaitMs = 1000
/** A rollback waits behind what the handler has sent and not waited for, and that perhaps for a lock of somebody else. */
const rollbackMs = 1000
/** Over the time that the handler has: then a process that froze in its transaction is ended by the server. */
const frozenMs = 10_000

/** How one try of a chunk ended. Only `committed` has left anything behind. */
export type ChunkOutcome =
  | {
      readonly kind: 'committed'
      readonly runs: readonly Run[]
      readonly skipped: ReadonlySet<Item>
      readonly after: readonly AfterCommit[]
    }
  /** This entry's attempt failed. */
  | { readonly kind: 'failed'; readonly at: number; readonly entry: Extract<Entry, { kind: 'failed' }> }
  /** One of several that ran at the same time failed: which one is found when they run one after the other. */
  | { readonly kind: 'crowded'; readonly timedOut: boolean }
  /** A call of several events failed: which of them is guilty is found by calling with fewer. */
  | { readonly kind: 'halve'; readonly events: number; readonly thrown: unknown; readonly timedOut: boolean }
  /** Another transaction was in the way, at this entry or at the commit. */
  | { readonly kind: 'spoiled'; readonly thrown: unknown; readonly at: number | undefined }
  /** A lock that evt itself needs was not free: somebody is in the middle of the same events, perhaps frozen. */
  | { readonly kind: 'blocked' }
  /** The store went away, perhaps while this entry ran. */
  | { readonly kind: 'outage'; readonly at: number | undefined; readonly thrown: unknown }
  /** A lane is no longer ours. */
  | { readonly kind: 'fenced' }
  | { readonly kind: 'stopped' }
  /** It could not be committed, and no single event is known to be the reason. */
  | { readonly kind: 'refused'; readonly thrown: unknown }

/** One transaction: inbox rows, handlers, what became of the others, the lanes' positions. */
export async function runChunk(
  runtime: HandlerRuntime,
  entries: readonly Entry[],
  { place, width }: { readonly place: Interruptible; readonly width: number },
): Promise<ChunkOutcome> {
  const withoutSession = runtime.config.transaction === 'none' ? await runInPlace(runtime, entries, place) : undefined
  if (withoutSession && withoutSession.kind !== 'committed') return withoutSession
  if (withoutSession && entries.every(isPlain)) return withoutSession
  // Other suspects of the process wait for this one: not behind all that the handlers want.
  const priority = entries.some(({ item }) => item.suspect) ? 'critical' : undefined
  const opened = await runtime.openSession(priority).catch((thrown: unknown) => ({ thrown }))
  if ('thrown' in opened) return { kind: 'outage', at: undefined, thrown: opened.thrown }
  const { session, leave } = opened
  try {
    const outcome = withoutSession
      ? await finishBare(runtime, { session, entries, bare: withoutSession })
      : await runWithin(runtime, { session, entries, place, width })
    if (outcome.kind !== 'committed') await undo(session, outcome)
    return outcome
  } finally {
    session.release()
    leave()
  }
}

interface Within {
  readonly session: Session
  readonly entries: readonly Entry[]
  readonly place: Interruptible
  readonly width: number
}

async function runWithin(runtime: HandlerRuntime, within: Within): Promise<ChunkOutcome> {
  const { session, entries, width } = within
  try {
    const fresh = await enter(runtime, session, entries)
    if (runtime.config.batch > 1) return await runWithinBatch(runtime, { ...within, fresh })
    const { runs, skipped, unsuccessful, lost } = await runEntries(runtime, { ...within, fresh })
    if (lost) return judgeTransaction(runtime, { ...lost, session })
    if (unsuccessful && !isCrowded(unsuccessful, session)) return judge(runtime, { ...unsuccessful, session })
    if (unsuccessful || (width > 1 && runtime.pace.severalSeen))
      return { kind: 'crowded', timedOut: unsuccessful?.result.why === 'timeout' }
    const after = await finish(runtime, session, { entries, skipped })
    return { kind: 'committed', runs, skipped, after }
  } catch (thrown) {
    return judgeTransaction(runtime, { thrown, at: undefined, session })
  }
}

const isCrowded = ({ among, result }: Unsuccessful, session: Session) =>
  among && !session.broken && result.why !== 'interrupted'

async function runWithinBatch(
  runtime: HandlerRuntime,
  within: Within & { readonly fresh: Set<string> },
): Promise<ChunkOutcome> {
  const { session, entries } = within
  const { runs, skipped, unsuccessful, lost, size } = await runBatch(runtime, within)
  if (lost) return judgeTransaction(runtime, { ...lost, session })
  if (unsuccessful) return judge(runtime, { ...unsuccessful, session, size })
  const after = await finish(runtime, session, { entries, skipped })
  return { kind: 'committed', runs, skipped, after }
}

/** What became of the others, the lanes' positions, the commit: where nothing else is to be written, all are sent at once. */
async function finish(runtime: HandlerRuntime, session: Session, chunk: ChunkWrites): Promise<AfterCommit[]> {
  let after: AfterCommit[] = []
  if (!chunk.entries.every(isPlain)) {
    // Not waited for: what comes behind it is sent at once.
    session.limitLockWait(lockWaitMs).catch(() => {})
    after = await writeEntries(runtime, session.sql, chunk)
  }
  await Promise.all([runtime.transport.settleIn?.(session.sql, progressOf(chunk.entries)), session.commit()])
  return after
}

/** Nothing is written about it but its inbox row and its lane's position. */
const isPlain = (entry: Entry) => entry.kind === 'run' && !entry.item.stored && !entry.item.suspect

/** All on their way at once: the inbox does not wait for the answer to `begin`. */
async function enter(runtime: HandlerRuntime, session: Session, entries: readonly Entry[]): Promise<Set<string>> {
  const inbox = entries.flatMap((entry) =>
    entry.kind === 'run' ? [{ eventId: entry.item.message.id, day: dayOf(entry.event.time) }] : [],
  )
  const [, fresh] = await Promise.all([
    begin(runtime, session),
    inbox.length === 0 ? new Set<string>() : enterInbox(session.sql, runtime.config.name, inbox),
  ])
  return fresh
}

function begin(runtime: HandlerRuntime, session: Session): Promise<void> {
  return session.begin(runtime.config.timeoutMs + frozenMs)
}

interface Judged extends Pick<Unsuccessful, 'entry' | 'at' | 'result'> {
  readonly session: Session | undefined
  /** Events of the call. */
  readonly size?: number
}

function judge(runtime: HandlerRuntime, { entry, at, result, session, size = 1 }: Judged): ChunkOutcome {
  if (result.why === 'interrupted') return runtime.forced.aborted ? { kind: 'stopped' } : { kind: 'fenced' }
  if (session?.broken) return { kind: 'outage', at, thrown: result.thrown }
  if (
    result.why === 'threw' &&
    session &&
    classify(result.thrown, factsOf(result.thrown), runtime.config.nonRetryable) === 'transient'
  ) {
    return { kind: 'spoiled', thrown: result.thrown, at }
  }
  if (size > 1) return { kind: 'halve', events: size, thrown: result.thrown, timedOut: result.why === 'timeout' }
  return {
    kind: 'failed',
    at,
    entry: { kind: 'failed', item: entry.item, failure: failureOf(runtime, entry.item, result) },
  }
}

function judgeTransaction(
  runtime: HandlerRuntime,
  { thrown, at, session }: { readonly thrown: unknown; readonly at: number | undefined; readonly session: Session },
): ChunkOutcome {
  if (runtime.forced.aborted) return { kind: 'stopped' }
  if (thrown instanceof EvtError && thrown.code === 'fenced') return { kind: 'fenced' }
  if (session.broken || isOutage(thrown)) return { kind: 'outage', at, thrown }
  if (at === undefined && thrown instanceof EvtError && thrown.code === 'timeout') return { kind: 'blocked' }
  if (classify(thrown, factsOf(thrown), new Set()) === 'transient') return { kind: 'spoiled', thrown, at }
  return { kind: 'refused', thrown: toError(thrown) }
}

/** A session that may be in the middle of a statement, or prepared for a schema that is gone, does not go back. */
async function undo(session: Session, outcome: ChunkOutcome): Promise<void> {
  const isClean = ['blocked', 'failed', 'refused', 'crowded', 'halve'].includes(outcome.kind)
  const timedOut =
    (outcome.kind === 'failed' && outcome.entry.failure.record.class === 'TimeoutError') ||
    ((outcome.kind === 'crowded' || outcome.kind === 'halve') && outcome.timedOut)
  if (!isClean || timedOut || session.broken) await session.terminate()
  else if (
    !(await settlesWithin(
      session.rollback().catch(() => session.terminate()),
      rollbackMs,
    ))
  )
    await session.terminate()
}

async function runInPlace(
  runtime: HandlerRuntime,
  entries: readonly Entry[],
  place: Interruptible,
): Promise<ChunkOutcome> {
  const leave = await runtime.enter?.()
  try {
    return await runBare(runtime, entries, place)
  } finally {
    leave?.()
  }
}

/** Without a transaction: what succeeded stays done, also when a later one fails. */
async function runBare(
  runtime: HandlerRuntime,
  entries: readonly Entry[],
  place: Interruptible,
): Promise<ChunkOutcome> {
  const runs: Run[] = []
  if (runtime.config.batch > 1) {
    const waiting = entries.flatMap((entry) => (entry.kind === 'run' && !entry.item.done ? [entry] : []))
    const [first] = waiting
    const result = first && (await callBatch(runtime, waiting, { session: undefined, place }))
    if (first && result && !result.ok)
      return judge(runtime, {
        entry: first,
        at: entries.indexOf(first),
        result,
        session: undefined,
        size: waiting.length,
      })
    if (result?.ok) for (const { item } of waiting) item.done = result
  }
  for (const [at, entry] of entries.entries()) {
    if (entry.kind !== 'run') continue
    if (!entry.item.done) {
      const result = await runAttempt(runtime, entry.item, {
        event: entry.event,
        session: undefined,
        place,
        abreast: false,
      })
      if (!result.ok) return judge(runtime, { entry, at, result, session: undefined })
      entry.item.done = result
    }
    runs.push({ item: entry.item, times: entry.item.done })
  }
  return { kind: 'committed', runs, skipped: new Set(), after: [] }
}

async function finishBare(
  runtime: HandlerRuntime,
  {
    session,
    entries,
    bare,
  }: {
    readonly session: Session
    readonly entries: readonly Entry[]
    readonly bare: Extract<ChunkOutcome, { kind: 'committed' }>
  },
): Promise<ChunkOutcome> {
  try {
    await begin(runtime, session)
    const after = await finish(runtime, session, { entries, skipped: new Set() })
    return { ...bare, after }
  } catch (thrown) {
    return judgeTransaction(runtime, { thrown, at: undefined, session })
  }
}
