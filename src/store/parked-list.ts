import type { SqlExecutor } from '../transports/transport.ts'

/** A queue of a handler in which something waits, or one event of a handler that keeps no order. */
export interface ParkedQueue {
  readonly handler: string
  readonly subject: string | null
  /** The event that all others wait for. */
  readonly head: string | null
  readonly type: string | null
  /** `contract`: no process knows its version yet. `retry`: it failed. `dead-letter`: it died, and the handler blocks. */
  readonly reason: 'contract' | 'retry' | 'dead-letter' | 'turn'
  /** `user.created@3`, an error, or the number of a dead letter. */
  readonly waitsFor: string | null
  readonly since: string
  readonly nextAt: string | null
  readonly attempts: number
  /** With the first. */
  readonly events: number
}

export interface ParkedSelection {
  readonly handler?: string | undefined
  /** Subjects, or ids of the events that queues begin with. */
  readonly which?: readonly string[] | undefined
  readonly limit: number
}

const instant = (column: string) => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`

// The heads by the index of queues; what has no queue stands for itself.
const select = `with heads as (
    select distinct on (handler, subject) handler, subject, event_id, type, held_for, errors, attempts, next_at, created_at
    from evt.deliveries where subject is not null and ($1::text is null or handler = $1) order by handler, subject, rank, id
  ), alone as (
    select handler, subject, event_id, type, held_for, errors, attempts, next_at, created_at
    from evt.deliveries where subject is null and ($1::text is null or handler = $1)
  ), queues as (
    select coalesce(h.handler, p.handler) as handler, coalesce(h.subject, p.subject) as subject, h.event_id, h.type, h.held_for,
      h.errors, h.attempts, h.next_at, least(p.parked_at, h.created_at) as since, p.blocked_by,
      (select count(*)::int from evt.deliveries d
       where d.handler = coalesce(h.handler, p.handler) and d.subject = coalesce(h.subject, p.subject)) as events
    from heads h full join (select * from evt.parked_subjects where $1::text is null or handler = $1) p
      on p.handler = h.handler and p.subject = h.subject
    union all
    select handler, null, event_id, type, held_for, errors, attempts, next_at, created_at, null, 1 from alone
  )
  select handler, subject, event_id as head, type, held_for, blocked_by::text, attempts, ${instant('next_at')} as next_at,
    ${instant('since')} as since, events, errors->-1->>'class' as error_class, errors->-1->>'message' as error_message,
    count(*) over ()::int as total
  from queues where (held_for is not null or blocked_by is not null or attempts > 0 or event_id is not null)
    and ($3::text[] is null or subject = any($3) or event_id = any($3))
  order by queues.since, handler, subject limit $2`

/** What waits and why, the longest waiting first, and how many there are in all. */
export async function listParked(
  sql: SqlExecutor,
  { handler, which, limit }: ParkedSelection,
): Promise<{ readonly queues: readonly ParkedQueue[]; readonly total: number }> {
  const { rows } = await sql.query(select, [handler ?? null, limit, which ?? null])
  return { queues: rows.map(toQueue), total: Number(rows[0]?.total ?? 0) }
}

function toQueue(row: Readonly<Record<string, unknown>>): ParkedQueue {
  const text = (value: unknown) => (value === null || value === undefined ? null : String(value))
  const heldFor = text(row.held_for)
  const blockedBy = text(row.blocked_by)
  const error = text(row.error_class) && `${row.error_class}: ${row.error_message}`
  const [reason, waitsFor] = blockedBy
    ? (['dead-letter', blockedBy] as const)
    : heldFor
      ? (['contract', heldFor] as const)
      : error
        ? (['retry', error] as const)
        : (['turn', null] as const)
  return {
    handler: String(row.handler),
    subject: text(row.subject),
    head: text(row.head),
    type: text(row.type),
    reason,
    waitsFor,
    since: String(row.since),
    nextAt: text(row.next_at),
    attempts: Number(row.attempts ?? 0),
    events: Number(row.events),
  }
}
