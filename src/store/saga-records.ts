import { sealedBy, sealingIds } from '../core/sealing.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import type { SagaStatus, StepRow } from './sagas.ts'

/** One saga as operators see it; times in RFC 3339. */
export interface SagaRecord {
  readonly id: string
  readonly saga: string
  readonly key: string
  readonly status: SagaStatus
  readonly phase: 'running' | 'compensating'
  readonly version: number
  /** Names of its steps, stage by stage, as it began. */
  readonly stages: readonly (readonly string[])[]
  /** Paths of the state that are not to be shown. */
  readonly sensitive: readonly string[]
  readonly stage: number
  readonly steps: Readonly<Record<string, StepRow>>
  readonly state: unknown
  /** Why it is undone. */
  readonly reason: string | null
  /** Why it is stuck. */
  readonly stuck: string | null
  /** When the next of its timers fires, and which. */
  readonly next: { readonly at: string; readonly kind: string; readonly step: string | null } | null
  readonly correlationId: string
  readonly startedBy: string
  readonly startedAt: string
  readonly movedAt: string
  readonly endedAt: string | null
}

export interface SagaSelection {
  readonly id?: string | undefined
  readonly saga?: string | undefined
  readonly key?: string | undefined
  readonly statuses?: readonly SagaStatus[] | undefined
  readonly limit: number
}

const iso = (column: string) => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
const columns = `s.id::text, s.saga, s.key, s.status, s.phase, s.version, s.plan->'stages' as stages,
  s.plan->'sensitive' as sensitive, s.stage, s.steps, s.state, s.reason, s.stuck,
  (select json_build_object('at', ${iso('t.due_at')}, 'kind', t.kind, 'step', nullif(t.step, ''))
   from evt.timers t where t.saga_id = s.id order by t.due_at limit 1) as next,
  s.correlation_id as "correlationId", s.started_by as "startedBy", ${iso('s.started_at')} as "startedAt",
  ${iso('s.moved_at')} as "movedAt", ${iso('s.ended_at')} as "endedAt"`

/** Those that need somebody first, then those under way, then what has ended; the latest of each first. */
export async function listSagas(sql: SqlExecutor, selection: SagaSelection): Promise<readonly SagaRecord[]> {
  const { id, saga, key, statuses, limit } = selection
  const { rows } = await sql.query(
    `select ${columns} from evt.sagas s
     where ($1::bigint is null or s.id = $1) and ($2::text is null or s.saga = $2) and ($3::text is null or s.key = $3)
       and ($4::text[] is null or s.status = any($4))
     order by case s.status when 'stuck' then 0 when 'compensating' then 1 when 'running' then 2 else 3 end, s.id desc limit $5`,
    [id ?? null, saga ?? null, key ?? null, statuses ?? null, limit],
  )
  return rows as unknown as readonly SagaRecord[]
}

export async function countSagas(
  sql: SqlExecutor,
  saga?: string,
): Promise<Readonly<Partial<Record<SagaStatus, number>>>> {
  const { rows } = await sql.query(
    'select status, count(*)::int as count from evt.sagas where $1::text is null or saga = $1 group by status',
    [saga ?? null],
  )
  return Object.fromEntries(rows.map(({ status, count }) => [String(status), Number(count)]))
}

export interface SagaMoment {
  readonly at: string
  readonly what: string
  readonly step: string | null
  readonly attempt: number | null
  readonly eventId: string | null
  readonly type: string | null
  readonly detail: string | null
  readonly by: string | null
}

/** An event that came before its step. */
export interface WaitingEvent {
  readonly eventId: string
  readonly type: string
  readonly position: string
  readonly arrivedAt: string
}

export interface ShownSaga extends SagaRecord {
  /** Paths of the state that nobody can read any more: their keys were deleted. Null stands there. */
  readonly erased: readonly string[]
  readonly history: readonly SagaMoment[]
  readonly early: readonly WaitingEvent[]
}

export async function showSaga(sql: SqlExecutor, id: string): Promise<ShownSaga | undefined> {
  const [found] = await listSagas(sql, { id, limit: 1 })
  if (!found) return undefined
  const history = await sql.query(
    `select ${iso('at')} as at, what, step, attempt, event_id as "eventId", type, detail, by
     from evt.saga_history where saga_id = $1 order by n`,
    [id],
  )
  const early = await sql.query(
    `select event_id as "eventId", type, position::text, ${iso('arrived_at')} as "arrivedAt"
     from evt.saga_events where saga = $1 and key = $2 order by evt.saga_events.position`,
    [found.saga, found.key],
  )
  return {
    ...found,
    ...(await withoutErased(sql, found.state)),
    history: history.rows as unknown as readonly SagaMoment[],
    early: found.endedAt === null ? (early.rows as unknown as readonly WaitingEvent[]) : [],
  }
}

/** The state with null where what sealed it is gone. */
async function withoutErased(sql: SqlExecutor, state: unknown): Promise<Pick<ShownSaga, 'state' | 'erased'>> {
  const ids = sealingIds(JSON.stringify(state))
  if (ids.length === 0) return { state, erased: [] }
  const { rows } = await sql.query(
    'select id::text from evt.subject_keys where id::text = any($1::text[]) and wrapped is null',
    [ids],
  )
  const gone = new Set(rows.map(({ id }) => String(id)))
  const erased = new Set<string>()
  function clear(value: unknown, path: string): unknown {
    const id = sealedBy(value)
    if (id !== undefined && gone.has(id)) {
      erased.add(path)
      return null
    }
    if (Array.isArray(value)) return value.map((one) => clear(one, path))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([name, one]) => [name, clear(one, path === '' ? name : `${path}.${name}`)]),
    )
  }
  return { state: clear(state, ''), erased: [...erased] }
}
