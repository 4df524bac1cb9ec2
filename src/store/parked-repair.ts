import { randomUUID } from 'node:crypto'
import { versionIn } from '../core/codec.ts'
import { EvtError } from '../core/errors.ts'
import { fingerprintOf } from '../core/fingerprint.ts'
import type { Received, SqlExecutor } from '../transports/transport.ts'
import type { AttemptRecord } from './attempts.ts'
import type { Audit } from './audit.ts'
import type { Store } from './connection.ts'
import { readDelivery, readQueue, removeDeliveries, type StoredDelivery } from './deliveries.ts'
import type { LoggedMessages } from './logged-messages.ts'
import type { ParkedQueue } from './parked-list.ts'
import { replayDeadLetters, settleRedrive } from './redrive.ts'
import { retryTransaction } from './retry-transaction.ts'
import { writeDeadLetter } from './write-dead-letter.ts'

export interface ParkedRepair {
  /** Who repairs it. */
  readonly by: string
  readonly reason?: string | undefined
  readonly audit: Audit
}

/**
 * - `running`: an attempt of it is under way: what comes of it comes first
 * - `changed`: the queue begins with something else by now, or with nothing
 */
export type Repaired = 'done' | 'running' | 'changed'

/**
 * What the queue begins with is tried at once by the bridge that owns its lane; while none runs, it waits. A dead letter that the
 * handler blocks on is replayed.
 */
export async function retryParked(store: Store, queue: ParkedQueue, repair: ParkedRepair): Promise<Repaired> {
  const { by, reason, audit } = repair
  if (queue.reason === 'dead-letter') {
    const why = reason === undefined ? {} : { reason }
    const ids = [queue.waitsFor as string]
    const { replayed } = await replayDeadLetters(store, { ids, replayId: randomUUID(), by, ...why, audit })
    return replayed.length > 0 ? 'done' : 'changed'
  }
  return retryTransaction(store, 'retry what is parked', async (sql) => {
    const head = await lockHead(sql, queue)
    if (typeof head === 'string') return head
    await sql.query('update evt.deliveries set held_for = null, next_at = clock_timestamp() where id = $1', [head.id])
    await audit(sql, 1)
    return 'done'
  })
}

/**
 * What the queue begins with becomes a dead letter, from where it can be replayed, and what is behind it goes on; a handler that blocks on
 * a dead letter goes on without it. Throws `conflict` when the log has the event no more.
 */
export async function skipParked(
  store: Store,
  queue: ParkedQueue,
  { logged, ...repair }: ParkedRepair & { readonly logged: Pick<LoggedMessages, 'read'> },
): Promise<Repaired> {
  return retryTransaction(store, 'skip what is parked', async (sql) => {
    const done =
      queue.reason === 'dead-letter' ? await unblock(sql, queue) : await bury(sql, queue, { logged, ...repair })
    if (done === 'done') await repair.audit(sql, 1)
    return done
  })
}

async function unblock(sql: SqlExecutor, { handler, subject, waitsFor }: ParkedQueue): Promise<Repaired> {
  const { rows } = await sql.query(
    `update evt.parked_subjects set blocked_by = null, freed_at = clock_timestamp()
     where handler = $1 and subject = $2 and blocked_by = $3 returning 1`,
    [handler, subject, waitsFor],
  )
  return rows.length > 0 ? 'done' : 'changed'
}

async function bury(
  sql: SqlExecutor,
  queue: ParkedQueue,
  { logged, by }: Pick<ParkedRepair, 'by'> & { readonly logged: Pick<LoggedMessages, 'read'> },
): Promise<Repaired> {
  const head = await lockHead(sql, queue)
  if (typeof head === 'string') return head
  const message = await messageOf(head, logged)
  const { handler, subject, type, lane } = head
  const last = lastOf(head, by)
  const error = { name: last.class, message: last.message, ...(last.code === undefined ? {} : { code: last.code }) }
  const cause = fingerprintOf({ handler, type, error })
  await writeDeadLetter(sql, {
    handler,
    service: await serviceOf(sql, handler),
    lane,
    message,
    type,
    version: versionIn(message.headers),
    ordered: subject !== null,
    rank: head.rank,
    reason: 'skipped',
    cause,
    earlier: head.heldFor === undefined ? head.errors.slice(0, -1) : head.errors,
    last,
    instance: last.instance,
  })
  if (head.redrive) await settleRedrive(sql, head.redrive, 'dead-again', cause)
  await removeDeliveries(sql, [head.id])
  await sql.query('update evt.parked_subjects set freed_at = clock_timestamp() where handler = $1 and subject = $2', [
    handler,
    subject,
  ])
  return 'done'
}

/** In the order of the lane's owner: first the subject, then what it begins with. */
async function lockHead(
  sql: SqlExecutor,
  { handler, subject, head }: ParkedQueue,
): Promise<StoredDelivery | 'running' | 'changed'> {
  await sql.query('select 1 from evt.parked_subjects where handler = $1 and subject = $2 for update', [
    handler,
    subject,
  ])
  const { rows } = await sql.query('select id from evt.deliveries where handler = $1 and event_id = $2 for update', [
    handler,
    head,
  ])
  const id = rows[0]?.id
  const found =
    subject === null
      ? id === undefined
        ? undefined
        : await readDelivery(sql, String(id))
      : (await readQueue(sql, { handler, subject }, 1))[0]
  if (!found || found.eventId !== head) return 'changed'
  return found.abandoned && (await isAlive(sql, found.instance)) ? 'running' : found
}

async function isAlive(sql: SqlExecutor, instance: string | undefined): Promise<boolean> {
  const { rows } = await sql.query(
    `select 1 from evt.instances where instance = $1 and stopped_at is null and beat_at > clock_timestamp() - interval '5 s'`,
    [instance ?? null],
  )
  return rows.length > 0
}

async function messageOf(head: StoredDelivery, logged: Pick<LoggedMessages, 'read'>): Promise<Received> {
  const { copy, position, eventId, subject, topic, at } = head
  const place = { topic, at, deliveries: head.attempts }
  const log = position === undefined ? {} : { log: position }
  if (copy) return { id: eventId, key: subject, ...copy, ...place, ...log }
  const found = position === undefined ? undefined : (await logged.read([position])).get(position)
  if (found) return { ...found, ...place }
  throw new EvtError(
    'conflict',
    `cannot skip event ${eventId} of ${head.handler}: the log has no position ${position} any more`,
    {
      hint: '`evt parked retry` lets its handler give it up',
    },
  )
}

/** Why it did not go on. */
function lastOf({ errors, heldFor, attempts, type }: StoredDelivery, by: string): AttemptRecord {
  const last = errors.at(-1)
  if (heldFor === undefined && last) return last
  const version = heldFor?.slice(heldFor.lastIndexOf('@') + 1)
  return {
    attempt: attempts,
    at: new Date().toISOString(),
    durationMs: 0,
    class: 'EvtError',
    ...(heldFor === undefined ? {} : { code: 'unknown-type' }),
    message:
      heldFor === undefined
        ? `${type} was skipped before it was handled`
        : `cannot handle ${type} v${version}: no bridge of this handler knew that version until it was skipped`,
    instance: by,
  }
}

/** As the handler itself would have it; who types knows only the store. */
async function serviceOf(sql: SqlExecutor, handler: string): Promise<string> {
  const { rows } = await sql.query('select service from evt.dead_letters where handler = $1 limit 1', [handler])
  return String(rows[0]?.service ?? handler.split('.')[0])
}
