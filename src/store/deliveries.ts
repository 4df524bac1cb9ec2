import type { Headers, Received, SqlExecutor } from '../transports/transport.ts'
import type { AttemptRecord } from './attempts.ts'

/** Where a delivery belongs: the handler, and the lane whose owner runs it. */
export interface DeliveryPlace {
  readonly handler: string
  readonly lane: string
  /** The queue that it stands in; null when the handler keeps no order. */
  readonly subject: string | null
}

/** A message that its lane has settled and that the store now answers for. */
export interface NewDelivery extends DeliveryPlace {
  readonly message: Received
  readonly type: string
  readonly attempts: number
  readonly errors: readonly AttemptRecord[]
  /** Until the next attempt; null waits behind the head of its subject, or for `heldFor`. */
  readonly delayMs: number | null
  /** `type@version` that no contract knows yet. */
  readonly heldFor?: string
}

export interface StoredDelivery extends DeliveryPlace {
  readonly id: string
  readonly eventId: string
  readonly type: string
  readonly topic: string
  readonly at: string
  readonly position: bigint | undefined
  /** Where there is no log, and of a replayed dead letter. */
  readonly copy: { readonly headers: Headers; readonly body: Uint8Array } | undefined
  readonly attempts: number
  readonly errors: readonly AttemptRecord[]
  /** An attempt began and its process ended. */
  readonly abandoned: boolean
  /** Whose attempt that was. */
  readonly instance: string | undefined
  readonly heldFor: string | undefined
  /** Until it is due, negative when it is; undefined when it waits. */
  readonly dueInMs: number | undefined
  /** Its place in the queue. */
  readonly rank: string
  readonly redrive: { readonly deadLetter: string; readonly replayId: string; readonly count: number } | undefined
}

const insert = `insert into evt.deliveries
    (handler, lane, subject, event_id, type, topic, at, position, headers, body, attempts, errors, next_at, held_for)
  select $1, $2, d.subject, d.event_id, d.type, d.topic, d.at, d.position, d.headers, d.body, d.attempts, d.errors,
    clock_timestamp() + d.delay_ms * interval '1 millisecond', d.held_for
  from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::json[], $10::bytea[],
    $11::integer[], $12::jsonb[], $13::double precision[], $14::text[])
    with ordinality as d(subject, event_id, type, topic, at, position, headers, body, attempts, errors, delay_ms, held_for, n)
  order by d.n
  on conflict (handler, event_id) do nothing
  returning id, event_id`

/** Stores deliveries of one lane in the order given; one that is stored already stays as it is. Returns id by event id. */
export async function storeDeliveries(
  sql: SqlExecutor,
  deliveries: readonly NewDelivery[],
): Promise<Map<string, string>> {
  const first = deliveries[0]
  if (!first) return new Map()
  const column = <T>(value: (delivery: NewDelivery) => T) => deliveries.map(value)
  const { rows } = await sql.query(insert, [
    first.handler,
    first.lane,
    column((d) => d.subject),
    column((d) => d.message.id),
    column((d) => d.type),
    column((d) => d.message.topic),
    column((d) => d.message.at),
    column((d) => d.message.log?.toString() ?? null),
    column((d) => (d.message.log === undefined ? JSON.stringify(d.message.headers) : null)),
    column((d) => (d.message.log === undefined ? Buffer.from(d.message.body) : null)),
    column((d) => d.attempts),
    column((d) => JSON.stringify(d.errors)),
    column((d) => d.delayMs),
    column((d) => d.heldFor ?? null),
  ])
  return new Map(rows.map((row) => [String(row.event_id), String(row.id)]))
}

/** The last attempt failed: waits for the next one. */
export async function postponeDelivery(
  sql: SqlExecutor,
  id: string,
  failed: Pick<NewDelivery, 'attempts' | 'errors' | 'delayMs'>,
): Promise<void> {
  await sql.query(
    `update evt.deliveries set attempts = $2, errors = $3, started_at = null, instance = null,
       next_at = clock_timestamp() + $4::double precision * interval '1 millisecond' where id = $1`,
    [id, failed.attempts, JSON.stringify(failed.errors), failed.delayMs],
  )
}

export async function removeDeliveries(sql: SqlExecutor, ids: readonly string[]): Promise<void> {
  await sql.query('delete from evt.deliveries where id = any($1::bigint[])', [ids])
}

/** Notes, before they run, that attempts begin; a row that keeps the mark belonged to a process that ended. */
export async function markStarted(
  sql: SqlExecutor,
  deliveries: readonly Pick<StoredDelivery, 'id' | 'errors'>[],
  start: { readonly instance: string; readonly attempts: number },
): Promise<void> {
  await sql.query(
    `update evt.deliveries d set started_at = clock_timestamp(), instance = $3, attempts = $4, errors = s.errors
     from unnest($1::bigint[], $2::jsonb[]) as s(id, errors) where d.id = s.id`,
    [
      deliveries.map(({ id }) => id),
      deliveries.map(({ errors }) => JSON.stringify(errors)),
      start.instance,
      start.attempts,
    ],
  )
}

/** Takes the mark back from deliveries that did not get their turn. */
export async function markWaiting(sql: SqlExecutor, ids: readonly string[]): Promise<void> {
  await sql.query(
    'update evt.deliveries set started_at = null, instance = null, next_at = null where id = any($1::bigint[])',
    [ids],
  )
}

/** Waits until a contract of `heldFor` exists. An attempt that found none is not counted. */
export async function holdDelivery(sql: SqlExecutor, id: string, heldFor: string): Promise<void> {
  await sql.query(
    `update evt.deliveries set held_for = $2, next_at = null, started_at = null, instance = null,
       attempts = greatest(attempts - 1, 0) where id = $1`,
    [id, heldFor],
  )
}

const columns = `d.id, d.handler, d.lane, d.subject, d.event_id, d.type, d.topic, d.at, d.position, d.attempts, d.errors, d.held_for,
  d.started_at is not null as abandoned, d.instance, extract(epoch from d.next_at - clock_timestamp()) * 1000 as due_in_ms,
  d.rank, d.dead_letter, d.replay_id, d.replay_count, coalesce(l.headers, d.headers) as headers, coalesce(l.body, d.body) as body`

/** The first `limit` deliveries of a subject's queue, in order. */
export async function readQueue(
  sql: SqlExecutor,
  place: { readonly handler: string; readonly subject: string },
  limit: number,
): Promise<StoredDelivery[]> {
  const { rows } = await sql.query(
    `select ${columns} from evt.deliveries d left join evt.dead_letters l on l.id = d.dead_letter
     where d.handler = $1 and d.subject = $2 order by d.rank, d.id limit $3`,
    [place.handler, place.subject, limit],
  )
  return rows.map(toStored)
}

/** Locked until the transaction ends: an operator may be about to take it away. */
export async function readDelivery(sql: SqlExecutor, id: string): Promise<StoredDelivery | undefined> {
  const { rows } = await sql.query(
    `select ${columns} from evt.deliveries d left join evt.dead_letters l on l.id = d.dead_letter where d.id = $1
     for update of d`,
    [id],
  )
  return rows.map(toStored)[0]
}

function toStored(row: Readonly<Record<string, unknown>>): StoredDelivery {
  const text = (value: unknown) => (value === null || value === undefined ? undefined : String(value))
  const deadLetter = text(row.dead_letter)
  return {
    id: String(row.id),
    handler: String(row.handler),
    lane: String(row.lane),
    subject: text(row.subject) ?? null,
    eventId: String(row.event_id),
    type: String(row.type),
    topic: String(row.topic),
    at: String(row.at),
    position: row.position === null ? undefined : BigInt(String(row.position)),
    copy: row.body ? { headers: row.headers as Headers, body: row.body as Uint8Array } : undefined,
    attempts: Number(row.attempts),
    errors: row.errors as readonly AttemptRecord[],
    abandoned: row.abandoned === true,
    instance: text(row.instance),
    heldFor: text(row.held_for),
    dueInMs: row.due_in_ms === null ? undefined : Number(row.due_in_ms),
    rank: String(row.rank),
    redrive: deadLetter ? { deadLetter, replayId: String(row.replay_id), count: Number(row.replay_count) } : undefined,
  }
}
