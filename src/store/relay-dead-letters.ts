import { versionIn } from '../core/codec/headers.ts'
import { fingerprintOf } from '../core/fingerprint.ts'
import type { Headers, Received, SqlExecutor } from '../transports/transport.ts'
import type { DeadReason } from './attempts.ts'
import { removeDeliveries } from './deliveries.ts'
import { settleRedrive } from './redrive.ts'
import { writeDeadLetter } from './write-dead-letter.ts'

/** An event that could not leave by a sink, or not come in by a source. */
export interface RelayDeadLetter {
  /** `sink:<name>` or `source:<name>`: stands where a handler stands for what handlers gave up. */
  readonly by: string
  readonly message: Received
  readonly type: string
  readonly reason: DeadReason
  readonly error: { readonly class: string; readonly code?: string; readonly message: string }
  readonly instance: string
  /** 1, where nobody has replayed it. */
  readonly attempt?: number
}

/** Returns its id. One row for each event and sink or source: the same one again is the same row. */
export async function writeRelayDeadLetter(sql: SqlExecutor, dead: RelayDeadLetter): Promise<string> {
  const { by, message, type, error } = dead
  const printable = {
    ...message,
    id: withoutZero(message.id),
    key: message.key === null ? null : withoutZero(message.key),
    topic: withoutZero(message.topic),
  }
  const last = {
    attempt: dead.attempt ?? 1,
    at: new Date().toISOString(),
    durationMs: 0,
    class: error.class,
    ...(error.code === undefined ? {} : { code: error.code }),
    message: withoutZero(error.message),
    instance: dead.instance,
  }
  const { id } = await writeDeadLetter(sql, {
    handler: by,
    service: by.slice(0, by.indexOf(':')),
    lane: printable.topic,
    message: printable,
    type: withoutZero(type),
    version: 'ce-evtversion' in message.headers ? versionIn(message.headers) : null,
    ordered: false,
    rank: null,
    reason: dead.reason,
    cause: causeOf(dead),
    earlier: [],
    last,
    instance: dead.instance,
  })
  return id
}

/** Tries a replayed dead letter again. Resolves to the new one when it is refused again; throws what will pass: it stays due. */
export type Retry = (message: Received, sql: SqlExecutor) => Promise<RelayDeadLetter | undefined>

/**
 * The oldest dead letter of this sink or source that somebody replays, in a transaction of the caller: other processes leave it alone
 * meanwhile. False when there is none.
 */
export async function retryReplayed(sql: SqlExecutor, by: string, retry: Retry): Promise<boolean> {
  const { rows } = await sql.query(
    `select d.id, d.dead_letter, d.replay_id, l.event_id, l.subject, l.headers, l.body, l.topic, l.at,
       jsonb_array_length(l.attempts) as attempts
     from evt.deliveries d join evt.dead_letters l on l.id = d.dead_letter
     where d.handler = $1 and d.next_at <= clock_timestamp() order by d.id limit 1 for update of d skip locked`,
    [by],
  )
  const [row] = rows
  if (!row) return false
  const message: Received = {
    id: String(row.event_id),
    key: row.subject === null ? null : String(row.subject),
    headers: row.headers as Headers,
    body: row.body as Uint8Array,
    topic: String(row.topic),
    at: String(row.at),
    deliveries: 1,
  }
  const dead = await retry(message, sql)
  const redrive = { deadLetter: String(row.dead_letter), replayId: String(row.replay_id) }
  if (dead) await writeRelayDeadLetter(sql, { ...dead, attempt: Number(row.attempts) + 1 })
  await settleRedrive(sql, redrive, dead ? 'dead-again' : 'handled', dead && causeOf(dead))
  await removeDeliveries(sql, [String(row.id)])
  return true
}

const causeOf = ({ by, type, error }: RelayDeadLetter) =>
  fingerprintOf({ handler: by, type, error: { name: error.class, message: error.message } })

/** PostgreSQL's text has no U+0000. */
const withoutZero = (text: string) => text.replaceAll('\0', '\u2400').toWellFormed()
