import { fingerprintOf } from '../core/fingerprint.ts'
import type { Received, SqlExecutor } from '../transports/transport.ts'
import type { DeadReason } from './attempts.ts'
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
}

/** Returns its id. One row for each event and sink or source: the same one again is the same row. */
export async function writeRelayDeadLetter(sql: SqlExecutor, dead: RelayDeadLetter): Promise<string> {
  const { by, message, type, error } = dead
  const printable = {
    ...message,
    id: withoutZero(message.id).slice(0, 1000),
    key: message.key === null ? null : withoutZero(message.key),
    topic: withoutZero(message.topic),
  }
  const last = {
    attempt: 1,
    at: new Date().toISOString(),
    durationMs: 0,
    class: error.class,
    ...(error.code === undefined ? {} : { code: error.code }),
    message: withoutZero(error.message),
    instance: dead.instance,
  }
  const failure = { handler: by, type, error: { name: error.class, message: error.message } }
  return writeDeadLetter(sql, {
    handler: by,
    service: by.slice(0, by.indexOf(':')),
    lane: printable.topic,
    message: printable,
    type: withoutZero(type),
    version: null,
    ordered: false,
    rank: null,
    reason: dead.reason,
    cause: fingerprintOf(failure),
    earlier: [],
    last,
    instance: dead.instance,
  })
}

/** PostgreSQL's text has no U+0000. */
const withoutZero = (text: string) => text.replaceAll('\0', '\u2400').toWellFormed()
