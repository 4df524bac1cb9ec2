import type { Headers, SqlExecutor } from '../transports/transport.ts'
import type { AttemptRecord, DeadReason } from './attempts.ts'

export type DeadLetterStatus = 'open' | 'replaying' | 'replayed' | 'discarded'

export interface DeadLetter {
  readonly id: string
  readonly handler: string
  readonly service: string
  readonly eventId: string
  readonly type: string
  readonly version: number | undefined
  readonly subject: string | undefined
  readonly lane: string
  readonly topic: string
  readonly at: string
  readonly position: string | undefined
  readonly headers: Headers
  readonly body: Uint8Array
  readonly reason: DeadReason
  readonly cause: string
  readonly error: { readonly class: string; readonly code: string | undefined; readonly message: string }
  readonly attempts: readonly AttemptRecord[]
  readonly instance: string
  readonly status: DeadLetterStatus
  /** How often a replay of it died again. */
  readonly returned: number
  readonly replayCount: number
  readonly firstFailedAt: string
  readonly lastFailedAt: string
}

/** Which dead letters; all fields must fit, none means all. */
export interface DeadLetterSelection {
  readonly ids?: readonly string[]
  /** The beginning of a fingerprint. */
  readonly cause?: string
  readonly handler?: string
  readonly type?: string
  /** Default 'open'. */
  readonly status?: DeadLetterStatus | 'any'
  readonly sinceMs?: number
  readonly untilMs?: number
}

/** As SQL with parameters that start at $1. */
export function selectionSql(selection: DeadLetterSelection): {
  readonly where: string
  readonly values: readonly unknown[]
} {
  const values: unknown[] = []
  const terms: string[] = []
  const add = (term: (n: number) => string, value: unknown) => {
    if (value === undefined) return
    values.push(value)
    terms.push(term(values.length))
  }
  const status = selection.status ?? 'open'
  add((n) => `d.status = $${n}`, status === 'any' ? undefined : status)
  add(
    (n) => `d.id = any($${n}::bigint[])`,
    selection.ids?.filter((id) => /^\d{1,18}$/.test(id)),
  )
  add((n) => `starts_with(d.cause, $${n})`, selection.cause)
  add((n) => `d.handler = $${n}`, selection.handler)
  add((n) => `d.type = $${n}`, selection.type)
  add((n) => `d.last_failed_at >= to_timestamp($${n}::double precision / 1000)`, selection.sinceMs)
  add((n) => `d.last_failed_at < to_timestamp($${n}::double precision / 1000)`, selection.untilMs)
  return { where: terms.length === 0 ? 'true' : terms.join(' and '), values }
}

/** Dead letters of one handler with one fingerprint. */
export interface Cause {
  readonly cause: string
  readonly handler: string
  readonly type: string
  /** `TypeError: cannot read …` of the latest one. */
  readonly error: string
  readonly reason: DeadReason
  readonly count: number
  readonly attempts: number
  /** How many came back from a replay. */
  readonly returned: number
  readonly firstAt: string
  readonly lastAt: string
  readonly sampleId: string
}

const iso = (value: unknown) => (value as Date).toISOString()

/** The most frequent cause first. */
export async function listCauses(sql: SqlExecutor, selection: DeadLetterSelection = {}): Promise<Cause[]> {
  const { where, values } = selectionSql(selection)
  const { rows } = await sql.query(
    `select d.cause, d.handler, d.type, count(*) as count, sum(jsonb_array_length(d.attempts)) as attempts,
       count(*) filter (where d.returned > 0) as returned, min(d.first_failed_at) as first_at, max(d.last_failed_at) as last_at,
       (array_agg(d.id order by d.last_failed_at desc))[1] as sample_id,
       (array_agg(d.error_class || ': ' || d.error_message order by d.last_failed_at desc))[1] as error,
       (array_agg(d.reason order by d.last_failed_at desc))[1] as reason
     from evt.dead_letters d where ${where} group by d.cause, d.handler, d.type order by count(*) desc, d.cause`,
    values,
  )
  return rows.map((row) => ({
    cause: String(row.cause),
    handler: String(row.handler),
    type: String(row.type),
    error: String(row.error),
    reason: row.reason as DeadReason,
    count: Number(row.count),
    attempts: Number(row.attempts),
    returned: Number(row.returned),
    firstAt: iso(row.first_at),
    lastAt: iso(row.last_at),
    sampleId: String(row.sample_id),
  }))
}

export interface Page {
  /** Default 100. */
  readonly limit?: number
  /** Only dead letters after this one, in the order of ids. */
  readonly after?: string
}

/** In the order of ids, bodies included: page through long lists. */
export async function listDeadLetters(
  sql: SqlExecutor,
  selection: DeadLetterSelection = {},
  page: Page = {},
): Promise<DeadLetter[]> {
  const { where, values } = selectionSql(selection)
  const { rows } = await sql.query(
    `select d.* from evt.dead_letters d where ${where} and d.id > $${values.length + 1} order by d.id limit $${values.length + 2}`,
    [...values, page.after ?? '0', page.limit ?? 100],
  )
  return rows.map(toDeadLetter)
}

/** One replay of one dead letter. */
export interface Redrive {
  readonly replayId: string
  readonly by: string
  readonly reason: string | undefined
  readonly at: string
  readonly outcome: 'pending' | 'handled' | 'dead-again' | 'skipped'
}

/** With its redrive history; undefined when there is none of that id. */
export async function getDeadLetter(
  sql: SqlExecutor,
  id: string,
): Promise<(DeadLetter & { readonly redrives: readonly Redrive[] }) | undefined> {
  const [dead] = await listDeadLetters(sql, { ids: [id], status: 'any' }, { limit: 1 })
  if (!dead) return undefined
  const { rows } = await sql.query(
    'select replay_id, by, reason, at, outcome from evt.redrives where dead_letter = $1 order by at',
    [id],
  )
  const redrives = rows.map((row) => ({
    replayId: String(row.replay_id),
    by: String(row.by),
    reason: row.reason === null ? undefined : String(row.reason),
    at: iso(row.at),
    outcome: row.outcome as Redrive['outcome'],
  }))
  return { ...dead, redrives }
}

/** What became of each of these ids; unknown ones are not in it. */
export async function statusesOf(
  sql: SqlExecutor,
  ids: readonly string[],
): Promise<ReadonlyMap<string, DeadLetterStatus>> {
  const { rows } = await sql.query('select id, status from evt.dead_letters where id = any($1::bigint[])', [ids])
  return new Map(rows.map((row) => [String(row.id), row.status as DeadLetterStatus]))
}

function toDeadLetter(row: Readonly<Record<string, unknown>>): DeadLetter {
  const text = (value: unknown) => (value === null || value === undefined ? undefined : String(value))
  return {
    id: String(row.id),
    handler: String(row.handler),
    service: String(row.service),
    eventId: String(row.event_id),
    type: String(row.type),
    version: row.version === null ? undefined : Number(row.version),
    subject: text(row.subject),
    lane: String(row.lane),
    topic: String(row.topic),
    at: String(row.at),
    position: text(row.position),
    headers: row.headers as Headers,
    body: row.body as Uint8Array,
    reason: row.reason as DeadReason,
    cause: String(row.cause),
    error: { class: String(row.error_class), code: text(row.error_code), message: String(row.error_message) },
    attempts: row.attempts as readonly AttemptRecord[],
    instance: String(row.instance),
    status: row.status as DeadLetterStatus,
    returned: Number(row.returned),
    replayCount: Number(row.replay_count),
    firstFailedAt: iso(row.first_failed_at),
    lastFailedAt: iso(row.last_failed_at),
  }
}
