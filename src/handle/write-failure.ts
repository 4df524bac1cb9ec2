import { backoffMs } from '../core/backoff.ts'
import { typeIn, versionIn } from '../core/codec.ts'
import { fingerprintOf } from '../core/fingerprint.ts'
import {
  holdDelivery,
  type NewDelivery,
  postponeDelivery,
  removeDeliveries,
  storeDeliveries,
} from '../store/deliveries.ts'
import { parkSubject } from '../store/parked.ts'
import { settleRedrive } from '../store/redrive.ts'
import { forgetSuspect } from '../store/suspects.ts'
import { writeDeadLetter } from '../store/write-dead-letter.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import type { HandlerRuntime } from './handler-runtime.ts'
import type { DueJob, Entry, Failure, Item } from './item.ts'
import { noteFailed } from './item-results.ts'
import { queueOf } from './plan.ts'
import type { AfterCommit } from './write-entries.ts'

const typeOf = ({ message }: Item) => ('ce-type' in message.headers ? typeIn(message.headers) : 'unknown')

/** How the store will keep a message that its lane settles. */
export function deliveryOf(
  runtime: HandlerRuntime,
  item: Item,
  state: Pick<NewDelivery, 'attempts' | 'errors' | 'delayMs' | 'heldFor'>,
): NewDelivery {
  const place = { handler: runtime.config.name, lane: item.owned.lane.id, subject: queueOf(runtime, item) }
  return { ...place, message: item.message, type: typeOf(item), ...state }
}

/** The event waits until a contract of its version exists, and its subject with it. */
export async function hold(
  runtime: HandlerRuntime,
  sql: SqlExecutor,
  entry: Extract<Entry, { kind: 'hold' }>,
): Promise<AfterCommit[]> {
  const { item, heldFor } = entry
  runtime.log.warn('an event waits for its contract', {
    handler: runtime.config.name,
    event: item.message.id,
    contract: heldFor,
  })
  if (item.stored) await holdDelivery(sql, item.stored.id, heldFor)
  else await storeDeliveries(sql, [deliveryOf(runtime, item, { attempts: 0, errors: [], delayMs: null, heldFor })])
  return [...(await park(runtime, sql, { item })), () => item.owned.heldFor.add(heldFor)]
}

async function park(
  runtime: HandlerRuntime,
  sql: SqlExecutor,
  { item, blockedBy }: { readonly item: Item; readonly blockedBy?: string },
): Promise<AfterCommit[]> {
  const subject = queueOf(runtime, item)
  if (subject === null) return []
  await parkSubject(sql, { handler: runtime.config.name, lane: item.owned.lane.id, subject }, blockedBy ?? null)
  return [() => item.owned.parked.add(subject)]
}

/** A next attempt after full jitter, its subject parked until then; or a dead letter. */
export async function writeFailure(
  runtime: HandlerRuntime,
  sql: SqlExecutor,
  entry: Extract<Entry, { kind: 'failed' }>,
): Promise<AfterCommit[]> {
  const { item, failure } = entry
  const { config } = runtime
  if (item.suspect) await forgetSuspect(sql, config.name, item.message.id)
  const isSpent = failure.hopeless !== undefined || failure.record.attempt >= config.attempts
  // Open, the handler fails and not the event: it has its attempt again.
  const isFree = failure.hopeless === undefined && runtime.breaker.isOpen
  if (isSpent && !isFree) return bury(runtime, sql, entry)
  const delayMs = isFree
    ? (config.breaker?.probeMs ?? 0)
    : backoffMs(config.backoff, failure.record.attempt, Math.random())
  const state = isFree
    ? { attempts: failure.record.attempt - 1, errors: item.errors, delayMs }
    : { attempts: failure.record.attempt, errors: [...item.errors, failure.record], delayMs }
  const subject = queueOf(runtime, item)
  const scheduled = (id: string | undefined): AfterCommit[] => {
    const job: DueJob = subject === null ? { id: id ?? '' } : { subject }
    return [() => runtime.schedule(item.owned, job, delayMs), () => noteFailed(runtime, entry, 'retried')]
  }
  if (item.stored) {
    await postponeDelivery(sql, item.stored.id, state)
    return scheduled(item.stored.id)
  }
  const ids = await storeDeliveries(sql, [deliveryOf(runtime, item, state)])
  return [...(await park(runtime, sql, { item })), ...scheduled(ids.get(item.message.id))]
}

async function bury(
  runtime: HandlerRuntime,
  sql: SqlExecutor,
  entry: Extract<Entry, { kind: 'failed' }>,
): Promise<AfterCommit[]> {
  const { config } = runtime
  const { item, failure } = entry
  const { class: name, message } = failure.record
  const cause = causeOf(runtime, item, failure)
  const { id, wasOpen } = await writeDeadLetter(sql, {
    handler: config.name,
    service: config.service,
    lane: item.owned.lane.id,
    message: item.message,
    type: typeOf(item),
    version: versionIn(item.message.headers),
    ordered: config.ordered,
    rank: item.stored?.rank ?? item.message.log?.toString() ?? null,
    reason: failure.hopeless ?? 'retries-exhausted',
    cause,
    earlier: item.errors,
    last: failure.record,
    instance: runtime.instance,
  })
  if (item.stored?.redrive) await settleRedrive(sql, item.stored.redrive, 'dead-again', cause)
  if (item.stored) await removeDeliveries(sql, [item.stored.id])
  const parked = config.blockAfterDead ? await park(runtime, sql, { item, blockedBy: id }) : []
  const died = () => {
    runtime.meter.dead(item.message.headers['ce-type'])
    noteFailed(runtime, entry, 'dead')
    const facts = { event: item.message.id, deadLetter: id, cause, error: `${name}: ${message}` }
    if (wasOpen) runtime.log.debug('an event is a dead letter already', { handler: config.name, ...facts })
    else runtime.log.error('an event became a dead letter', { handler: config.name, ...facts })
  }
  return [died, ...parked]
}

function causeOf(runtime: HandlerRuntime, item: Item, { record }: Failure): string {
  const error = {
    name: record.class,
    message: record.message,
    ...(record.code === undefined ? {} : { code: record.code }),
  }
  return fingerprintOf({ handler: runtime.config.name, type: typeOf(item), error })
}
