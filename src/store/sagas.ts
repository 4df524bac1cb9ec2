import type { SqlExecutor } from '../transports/transport.ts'

export const sagaStatuses = ['running', 'compensating', 'stuck', 'completed', 'failed'] as const
export type SagaStatus = (typeof sagaStatuses)[number]

/** What became of a step, under its name in the saga's row; a step that never began has none. */
export interface StepRow {
  status:
    | 'retrying'
    | 'waiting'
    | 'done'
    | 'timed-out'
    | 'refused'
    | 'failed'
    | 'compensated'
    /** It has no compensation. */
    | 'left'
  /** Its place among those that began; 0 while no run of it has succeeded. */
  nth: number
  attempts: number
  /** Of what takes its event into the state. */
  takeAttempts: number
  undoAttempts: number
  /** When it began, RFC 3339. */
  at: string
  waitsFor?: string | undefined
  missing?: readonly string[] | undefined
  /** Until when it waits, RFC 3339. */
  due?: string | undefined
  /** When it is tried again, RFC 3339. */
  again?: string | undefined
  error?: string | undefined
}

/** One saga, as its handler reads and writes it. */
export interface SagaRow {
  readonly id: string
  readonly saga: string
  readonly key: string
  status: SagaStatus
  phase: 'running' | 'compensating'
  readonly version: number
  readonly plan: {
    readonly stages: readonly (readonly string[])[]
    /** Paths of the state, for masking. */
    readonly sensitive: readonly string[]
    /** Of the event that it began with: whose key encrypts its state. */
    readonly subject?: string | undefined
    /** Its key has no other saga after it. */
    readonly once?: true | undefined
  }
  stage: number
  steps: Record<string, StepRow>
  /** As it is kept: with its encrypted fields sealed. */
  state: unknown
  /** Why it is undone. */
  reason: string | null
  /** Why it is stuck. */
  stuck: string | null
  /** When the whole saga has to be done, RFC 3339. */
  due: string | null
  readonly correlationId: string
  readonly tenant: string | null
  readonly startedBy: string
  /** RFC 3339. */
  readonly startedAt: string
  readonly endedAt: string | null
}

/** An event that came before the saga or the step that awaits it. */
export interface EarlyEvent {
  readonly eventId: string
  readonly type: string
  readonly position: bigint
}

export interface Entered {
  /** The store's clock, ms since the epoch. */
  readonly nowMs: number
  /** Of a saga that begins now; undefined while one of this key has not ended. */
  readonly nextId: string | undefined
  /** The one that has not ended, else the last one. */
  readonly found: SagaRow | undefined
  readonly early: readonly EarlyEvent[]
}

/** Holds the key until the caller's transaction ends: nobody else reads or changes a saga of it meanwhile. */
export async function enterSaga(sql: SqlExecutor, saga: string, key: string): Promise<Entered> {
  const { rows } = await sql.query('select now_ms, next_id, saga_row, early from evt.enter_saga($1, $2)', [saga, key])
  const [row] = rows as unknown as readonly {
    readonly now_ms: number
    readonly next_id: string | null
    readonly saga_row: Record<string, unknown> | null
    readonly early: readonly { eventId: string; type: string; position: string }[] | null
  }[]
  return {
    nowMs: Number(row?.now_ms),
    nextId: row?.next_id == null ? undefined : String(row.next_id),
    found: row?.saga_row ? toRow(row.saga_row) : undefined,
    early: (row?.early ?? []).map((one) => ({ ...one, position: BigInt(one.position) })),
  }
}

/** Whether the key had its only saga, and that is forgotten. In the transaction that entered the key. */
export async function hadItsSaga(sql: SqlExecutor, saga: string, key: string): Promise<boolean> {
  const { rows } = await sql.query(
    `select from evt.saga_keys where saga = $1 and key_hash = sha256(convert_to($2, 'UTF8'))`,
    [saga, key],
  )
  return rows.length > 0
}

function toRow(row: Record<string, unknown>): SagaRow {
  const time = (value: unknown) => (value == null ? null : new Date(String(value)).toISOString())
  return {
    ...(row as unknown as SagaRow),
    id: String(row.id),
    correlationId: String(row.correlation_id),
    tenant: row.tenant == null ? null : String(row.tenant),
    startedBy: String(row.started_by),
    startedAt: time(row.started_at) ?? '',
    endedAt: time(row.ended_at),
  }
}

export interface SagaHistory {
  readonly what: string
  readonly step?: string | undefined
  readonly attempt?: number | undefined
  readonly eventId?: string | undefined
  readonly type?: string | undefined
  readonly detail?: string | undefined
}

export interface SagaTimer {
  /** Empty: of the whole saga. */
  readonly step: string
  readonly kind: 'timeout' | 'retry' | 'go'
  /** RFC 3339. */
  readonly due: string
}

/** What one event did to a saga. */
export interface SagaChange {
  readonly row: SagaRow
  readonly history: readonly SagaHistory[]
  readonly by: string
  /** All that it has from now on. */
  readonly timers: readonly SagaTimer[]
  /** Events that are not kept any more. */
  readonly used: readonly string[]
  readonly kept: readonly KeptEvent[]
}

export interface KeptEvent extends EarlyEvent {
  readonly correlationId: string | undefined
}

const textOf = (events: string) => `with written as (
    insert into evt.sagas (id, saga, key, status, phase, version, plan, stage, steps, state, reason, due, correlation_id, tenant,
      started_by, started_at, ended_at, stuck)
    values ($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9::jsonb, $10::json, $11, $12, $13, $14, $15, $16,
      case when $4::text in ('completed', 'failed') then clock_timestamp() end, $20)
    on conflict (id) do update set status = excluded.status, phase = excluded.phase, stage = excluded.stage, steps = excluded.steps,
      state = excluded.state, reason = excluded.reason, stuck = excluded.stuck, due = excluded.due, moved_at = clock_timestamp(), ended_at = excluded.ended_at
  ), told as (
    insert into evt.saga_history (saga_id, what, step, attempt, event_id, type, detail, by)
    select $1, h.what, h.step, h.attempt, h."eventId", h.type, h.detail, $18
    from json_to_recordset($17::json) as h(what text, step text, attempt integer, "eventId" text, type text, detail text)
  ), wanted as (
    select * from json_to_recordset($19::json) as t(step text, kind text, due text)
  ), cancelled as (
    delete from evt.timers t where t.saga_id = $1
      and not exists (select from wanted w where w.step = t.step and w.kind = t.kind)
${events}  )
  insert into evt.timers (saga_id, step, kind, due_at, token)
  select $1, step, kind, due::timestamptz, due from wanted
  on conflict (saga_id, step, kind) do update set due_at = excluded.due_at, token = excluded.token
  where timers.token <> excluded.token`

const save = textOf('')
/** Few turns take, or leave, an event that came early. */
const saveWithEvents = textOf(`  ), used as (
    delete from evt.saga_events e where e.saga = $2 and e.key = $3 and e.event_id = any($21::text[])
  ), kept as (
    insert into evt.saga_events (saga, key, event_id, type, position, correlation_id)
    select $2, $3, k."eventId", k.type, k.position::bigint, k."correlationId"
    from json_to_recordset($22::json) as k("eventId" text, type text, position text, "correlationId" text)
    on conflict (saga, key, event_id) do update set keep_until = null
`)

/** In the transaction that entered it. */
export async function saveSaga(sql: SqlExecutor, change: SagaChange): Promise<void> {
  const { row } = change
  const isEarly = change.used.length + change.kept.length > 0
  await sql.query(isEarly ? saveWithEvents : save, [
    row.id,
    row.saga,
    row.key,
    row.status,
    row.phase,
    row.version,
    JSON.stringify(row.plan),
    row.stage,
    JSON.stringify(row.steps),
    JSON.stringify(row.state),
    row.reason,
    row.due,
    row.correlationId,
    row.tenant,
    row.startedBy,
    row.startedAt,
    JSON.stringify(change.history),
    change.by,
    JSON.stringify(change.timers),
    row.stuck,
    ...(isEarly
      ? [change.used, JSON.stringify(change.kept.map((one) => ({ ...one, position: String(one.position) })))]
      : []),
  ])
}

/** An event without a saga: for `keepMs`, should one begin. In the transaction that entered the key. */
export async function keepEarlyEvent(
  sql: SqlExecutor,
  place: { readonly saga: string; readonly key: string; readonly keepMs: number },
  event: KeptEvent,
): Promise<void> {
  await sql.query(
    `insert into evt.saga_events (saga, key, event_id, type, position, correlation_id, keep_until)
     values ($1, $2, $3, $4, $5, $6, clock_timestamp() + $7::double precision * interval '1 millisecond') on conflict do nothing`,
    [
      place.saga,
      place.key,
      event.eventId,
      event.type,
      String(event.position),
      event.correlationId ?? null,
      place.keepMs,
    ],
  )
}

/** Notes what came for a saga and changed nothing of it. */
export async function noteSaga(sql: SqlExecutor, id: string, by: string, note: SagaHistory): Promise<void> {
  await sql.query(
    'insert into evt.saga_history (saga_id, what, step, event_id, type, detail, by) values ($1, $2, $3, $4, $5, $6, $7)',
    [id, note.what, note.step ?? null, note.eventId ?? null, note.type ?? null, note.detail ?? null, by],
  )
}
