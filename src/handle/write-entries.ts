import { markWaiting, removeDeliveries, storeDeliveries } from '../store/deliveries.ts'
import { advanceSubject, keepParked } from '../store/parked.ts'
import { settleRedrive } from '../store/redrive.ts'
import { forgetSuspect } from '../store/suspects.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import type { HandlerRuntime } from './handler-runtime.ts'
import type { Entry, Item, OwnedLane } from './item.ts'
import { queueOf } from './plan.ts'
import { deliveryOf, hold, writeFailure } from './write-failure.ts'

/** What holds in memory once the transaction is committed, and not before. */
export type AfterCommit = () => void

export interface ChunkWrites {
  readonly entries: readonly Entry[]
  /** Those that the inbox recognised; all others that ran were handled. */
  readonly skipped: ReadonlySet<Item>
}

/** Writes, in the transaction of the chunk, everything that is not the handlers' own. */
export async function writeEntries(
  runtime: HandlerRuntime,
  sql: SqlExecutor,
  chunk: ChunkWrites,
): Promise<AfterCommit[]> {
  const after: AfterCommit[] = []
  const stored = chunk.entries.filter(({ item }) => item.stored)
  const behind = chunk.entries.filter((entry) => entry.kind === 'behind').map(({ item }) => item)
  for (const entry of chunk.entries) {
    if (entry.kind === 'run' && entry.item.suspect) await forgetSuspect(sql, runtime.config.name, entry.item.message.id)
    else if (entry.kind === 'hold') after.push(...(await hold(runtime, sql, entry)))
    else if (entry.kind === 'failed') after.push(...(await writeFailure(runtime, sql, entry)))
  }
  if (behind.length > 0) await putBehind(runtime, sql, behind)
  if (stored.length > 0) after.push(...(await finishStored(runtime, sql, { stored, skipped: chunk.skipped })))
  return after
}

async function putBehind(runtime: HandlerRuntime, sql: SqlExecutor, items: readonly Item[]): Promise<void> {
  for (const [owned, own] of Map.groupBy(items, (item) => item.owned)) {
    const deliveries = own.map((item) => deliveryOf(runtime, item, { attempts: 0, errors: [], delayMs: null }))
    await storeDeliveries(sql, deliveries)
    const place = { handler: runtime.config.name, lane: owned.lane.id }
    for (const subject of new Set(deliveries.map((one) => one.subject))) {
      if (subject !== null) await keepParked(sql, { ...place, subject })
    }
  }
}

/** What is done is gone; then, in the same transaction, the next of its subject is woken, or the subject un-parked. */
async function finishStored(
  runtime: HandlerRuntime,
  sql: SqlExecutor,
  { stored, skipped }: { readonly stored: readonly Entry[]; readonly skipped: ReadonlySet<Item> },
): Promise<AfterCommit[]> {
  const idsOf = (kind: Entry['kind']) =>
    stored.flatMap(({ kind: own, item }) => (own === kind && item.stored ? [item.stored.id] : []))
  const [done, waiting] = [idsOf('run'), idsOf('wait')]
  if (waiting.length > 0) await markWaiting(sql, waiting)
  if (done.length > 0) await removeDeliveries(sql, done)
  for (const { kind, item } of stored) {
    if (kind === 'run' && item.stored?.redrive)
      await settleRedrive(sql, item.stored.redrive, skipped.has(item) ? 'skipped' : 'handled')
  }
  const after: AfterCommit[] = []
  for (const [subject, owned] of new Map(stored.map(({ item }) => [queueOf(runtime, item), item.owned]))) {
    if (subject !== null) after.push(await advance(runtime, sql, { subject, owned }))
  }
  return after
}

async function advance(
  runtime: HandlerRuntime,
  sql: SqlExecutor,
  { subject, owned }: { readonly subject: string; readonly owned: OwnedLane },
): Promise<AfterCommit> {
  const advanced = await advanceSubject(sql, runtime.config.name, subject)
  return () => {
    if (advanced === 'flowing') owned.parked.delete(subject)
    else owned.parked.add(subject)
    // Where the head has to wait for its next attempt, the job finds that and does nothing.
    if (advanced === 'waiting') runtime.schedule(owned, { subject }, 0)
  }
}
