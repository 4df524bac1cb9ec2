import { fitting } from '../core/limits.ts'
import type { Received, SqlExecutor } from '../transports/transport.ts'
import type { AttemptRecord, DeadReason } from './attempts.ts'

export interface NewDeadLetter {
  readonly handler: string
  readonly service: string
  readonly lane: string
  readonly message: Received
  readonly type: string
  readonly version: number | null
  /** Whether the handler keeps the order of the message's key. */
  readonly ordered: boolean
  /** Where it stood in its subject's queue; null where only the time of failing tells. */
  readonly rank: string | null
  readonly reason: DeadReason
  /** The fingerprint. */
  readonly cause: string
  readonly earlier: readonly AttemptRecord[]
  /** Says why. */
  readonly last: AttemptRecord
  readonly instance: string
}

export interface WrittenDeadLetter {
  readonly id: string
  /** It was given up before, and nobody has done anything about it: no news. */
  readonly wasOpen: boolean
}

const insert = `with before as (select status from evt.dead_letters where handler = $1 and event_id = $3)
  insert into evt.dead_letters as known (handler, service, event_id, type, version, subject, ordered, rank, lane, topic, at, position,
    headers, body, reason, cause, error_class, error_code, error_message, attempts, instance, first_failed_at, last_failed_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20::jsonb, $21, $22, clock_timestamp())
  on conflict (handler, event_id) do update set
    status = 'open', resolved_at = null, reason = excluded.reason, cause = excluded.cause, error_class = excluded.error_class,
    error_code = excluded.error_code, error_message = excluded.error_message, instance = excluded.instance,
    attempts = known.attempts || excluded.attempts, last_failed_at = excluded.last_failed_at,
    returned = known.returned + case when known.status = 'replaying' then 1 else 0 end
  returning id, coalesce((select status from before) = 'open', false) as was_open`

/**
 * Gives the event up for this handler: one row for each event and handler, to which a second death returns. An id and a subject that no
 * index holds are cut; the headers have all of them.
 */
export async function writeDeadLetter(sql: SqlExecutor, dead: NewDeadLetter): Promise<WrittenDeadLetter> {
  const { message, last } = dead
  const attempts = [...dead.earlier, last]
  const origin = [dead.lane, message.topic, message.at, message.log?.toString() ?? null]
  const { rows } = await sql.query(insert, [
    ...[
      dead.handler,
      dead.service,
      fitting(message.id),
      dead.type,
      dead.version,
      message.key === null ? null : fitting(message.key),
      dead.ordered,
      dead.rank,
      ...origin,
    ],
    ...[JSON.stringify(message.headers), Buffer.from(message.body), dead.reason, dead.cause],
    ...[
      last.class,
      last.code ?? null,
      last.message,
      JSON.stringify(attempts),
      dead.instance,
      dead.earlier[0]?.at ?? last.at,
    ],
  ])
  return { id: String(rows[0]?.id), wasOpen: rows[0]?.was_open === true }
}
