import { unreadableName } from '../core/codec/headers.ts'
import { toHeaders } from '../core/codec.ts'
import type { Priority } from '../core/event.ts'
import { fingerprintOf } from '../core/fingerprint.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import type { LogEntry } from './log.ts'

/** The handler that events without a readable type are dead letters of: nobody's, and nobody replays them. */
const unreadableHandler = 'evt.log'

/** About the rows and lasting: data that PostgreSQL finds corrupted, or that JavaScript cannot hold. */
export function isDamage(error: unknown): error is Error {
  if (error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError) return true
  return error instanceof Error && ['XX001', 'XX002'].includes(String((error as { code?: unknown }).code))
}

interface Salvaged {
  readonly position: string
  readonly slot: number
  readonly leaf: string | null
  readonly sequenced_ms: number | null
  readonly columns: Readonly<Record<string, string>>
  readonly damaged: Readonly<Record<string, string>>
}

/**
 * The first event after a position that the log cannot be read beyond, as far as it can be read: an entry whose headers
 * make it a dead letter of every handler that wants its type. One whose type is lost is a dead letter of
 * `evt.log` before this resolves. Undefined when there is no event after that position. Throws what writing throws.
 */
export async function salvageEntry(sql: SqlExecutor, after: bigint, error: Error): Promise<LogEntry | undefined> {
  const { rows } = await sql.query('select evt.salvage($1) as found', [String(after)])
  const found = rows[0]?.found as Salvaged | null | undefined
  if (!found) return undefined
  const entry = entryOf(found, error)
  if (found.columns.type === undefined) await keepUnreadable(sql, entry)
  return entry
}

function entryOf(found: Salvaged, error: Error): LogEntry {
  const { columns } = found
  const lost = Object.entries(found.damaged).map(([name, reason]) => `${name} (${reason})`)
  const reason = lost.length > 0 ? lost.join(', ') : error.message
  const place = found.leaf === null ? '' : ` in ${found.leaf}`
  const sequencedMs = found.sequenced_ms ?? 0
  const recordedMs = Date.parse(columns.recorded_at ?? '')
  const envelope = {
    id: columns.id ?? `log/${found.position}`,
    type: columns.type ?? 'unknown',
    source: columns.source ?? 'unknown',
    version: Number(columns.version ?? 1),
    time: columns.time ?? new Date(sequencedMs).toISOString(),
    priority: (columns.priority ?? 'normal') as Priority,
    metadata: {},
    ...(columns.subject === undefined ? {} : { subject: columns.subject }),
    ...(columns.tenant === undefined ? {} : { tenant: columns.tenant }),
    ...(columns.correlation_id === undefined ? {} : { correlationId: columns.correlation_id }),
    ...(columns.checksum === undefined ? {} : { checksum: columns.checksum }),
  }
  return {
    id: envelope.id,
    type: envelope.type,
    subject: columns.subject ?? null,
    headers: {
      ...toHeaders(envelope),
      [unreadableName]: `cannot read the event at position ${found.position}${place}: ${reason}`,
    },
    dataText: columns.data ?? '',
    recordedMs: Number.isNaN(recordedMs) ? sequencedMs : recordedMs,
    class: columns.class ?? 'default',
    priority: envelope.priority,
    position: BigInt(found.position),
    slot: found.slot,
    sequencedMs,
  }
}

const insert = `insert into evt.dead_letters (handler, service, event_id, type, subject, ordered, lane, topic, at, position, headers, body,
    reason, cause, error_class, error_message, attempts, instance, first_failed_at, last_failed_at)
  values ($1, 'evt', $2, 'unknown', $3, false, 'log/0', 'log', $4::text, $4::text::bigint, $5, $6, 'unreadable', $7, 'EvtError', $8,
    jsonb_build_array(jsonb_build_object('attempt', 1, 'at', clock_timestamp(), 'durationMs', 0, 'class', 'EvtError', 'message', $8::text, 'instance', 'evt')),
    'evt', clock_timestamp(), clock_timestamp())
  on conflict (handler, event_id) do nothing`

/** Whoever reads the log meets it again: one row, however often. */
async function keepUnreadable(sql: SqlExecutor, { id, subject, position, headers, dataText }: LogEntry): Promise<void> {
  const message = headers[unreadableName] ?? ''
  const cause = fingerprintOf({ handler: unreadableHandler, type: 'unknown', error: { message } })
  const bytes = Buffer.from(dataText)
  const json = JSON.stringify(headers)
  await sql.query(insert, [unreadableHandler, id, subject, String(position), json, bytes, cause, message])
}
